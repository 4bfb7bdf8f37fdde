"""Which process of this machine listens on a port, from Linux's /proc (proc(5): net/tcp, net/udp, pid/fd)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from devenv.core.text import sanitize

_LISTENING = {"tcp": "0A", "udp": "07"}  # include/net/tcp_states.h: TCP_LISTEN; an unconnected UDP socket is TCP_CLOSE
_COMMAND_SHOWN = 80  # characters


@dataclass(frozen=True, slots=True)
class Listener:
    """A process that holds a port; `pid` is None where this user may not see it. `uid` owns the socket."""

    uid: int
    pid: int | None = None
    command: str = ""

    def __str__(self) -> str:
        if self.pid is None:
            return f"a process of user id {self.uid}"
        return f"process {self.pid} ({self.command})" if self.command else f"process {self.pid}"


def find_listener(port: int, protocol: str = "tcp", host_ip: str = "", proc: Path = Path("/proc")) -> Listener | None:
    """Return who listens on the port, at an address that collides with `host_ip` (empty: any address).

    None: nobody does, or this machine has no /proc.
    """
    for uid, inode in _sockets(port, protocol, host_ip, proc):
        pid = _owner(inode, proc)
        if pid is None:
            return Listener(uid)
        return Listener(uid, pid, _command(pid, proc))
    return None


def _sockets(port: int, protocol: str, host_ip: str, proc: Path) -> Iterator[tuple[int, str]]:
    # An address of IPv6 is bound apart from IPv4; one of IPv4 collides with a socket that takes both.
    for table in (f"{protocol}6",) if ":" in host_ip else (protocol, f"{protocol}6"):
        path = proc / "net" / table
        if not path.is_file():
            continue
        for line in path.read_text("ascii").splitlines()[1:]:
            fields = line.split()
            address, _, hex_port = fields[1].partition(":")
            if int(hex_port, 16) == port and fields[3] == _LISTENING.get(protocol) and _collide(address, host_ip):
                yield int(fields[7]), fields[9]


def _collide(hex_address: str, host_ip: str) -> bool:
    # The kernel prints each 32-bit word in the machine's byte order; what Docker runs on is little-endian.
    words = [bytes.fromhex(hex_address[start : start + 8])[::-1] for start in range(0, len(hex_address), 8)]
    listening = ipaddress.ip_address(b"".join(words))
    if not host_ip or listening.is_unspecified:
        return True
    address = ipaddress.ip_address(host_ip)
    if isinstance(listening, ipaddress.IPv6Address) and listening.ipv4_mapped is not None:
        listening = listening.ipv4_mapped
    return address.is_unspecified or address == listening


def _owner(inode: str, proc: Path) -> int | None:
    socket_name = f"socket:[{inode}]"
    for entry in proc.iterdir():
        if not entry.name.isdigit():
            continue
        # Processes end while we look, and those of other users do not let us look: neither is the one we can name.
        with suppress(OSError):
            if any(_target(link) == socket_name for link in (entry / "fd").iterdir()):
                return int(entry.name)
    return None


def _target(link: Path) -> str:
    with suppress(FileNotFoundError):  # closed since the folder was listed; the others still count
        return str(link.readlink())
    return ""


def _command(pid: int, proc: Path) -> str:
    with suppress(OSError):  # it ended meanwhile
        words = (proc / str(pid) / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        return sanitize(b" ".join(words))[:_COMMAND_SHOWN]
    return ""
