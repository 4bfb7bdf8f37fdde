"""Who holds a port: real sockets on loopback."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from devenv.backends.listeners import Listener, find_listener


def test_this_process_is_found_with_its_command() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = find_listener(port)
        assert found is not None
        assert found.pid == os.getpid()
        assert found.command
        assert find_listener(port, host_ip="0.0.0.0") is not None
        assert find_listener(port, host_ip="127.0.0.2") is None
        assert find_listener(port, protocol="udp") is None
    assert find_listener(port) is None


def test_ipv6_and_udp() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        port = server.getsockname()[1]
        assert find_listener(port, host_ip="::1") is not None
        assert find_listener(port, host_ip="127.0.0.1") is None
    with socket.create_server(("0.0.0.0", 0)) as server:
        assert find_listener(server.getsockname()[1], host_ip="::1") is None, "the families are apart"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        found = find_listener(server.getsockname()[1], protocol="udp")
        assert found is not None
        assert found.pid == os.getpid()


def test_a_socket_of_somebody_we_may_not_see(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    row = "0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 777 1"
    (tmp_path / "net" / "tcp").write_text(f"header\n{row}\n")
    found = find_listener(8080, proc=tmp_path)
    assert found == Listener(1000)
    assert str(found) == "a process of user id 1000"


def test_without_proc_nobody_is_found(tmp_path: Path) -> None:
    assert find_listener(80, proc=tmp_path / "none") is None
