"""A second Docker Engine on this machine, for what must not be done to the one that people work with: restarting it.

It lives in namespaces of its own. Process and mount namespace end with this process, however that ends, and take every
container and mount of the engine along; in a network namespace of its own, dockerd cannot touch the machine's bridges
and ports, and this process enters it to reach what the engine publishes.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from devenv.core.errors import DevenvError
from devenv.verify.engine import docker
from devenv.verify.waiting import Never, wait_until

START_WITHIN = 60.0  # seconds
STOP_WITHIN = 60.0  # containers get their grace periods within it
_NEEDED = ("dockerd", "unshare", "setpriv")
CGROUPS = Path("/sys/fs/cgroup")
_CLONE_NEWNET = 0x40000000  # sched.h
# A new network namespace has a loopback interface that is down, and the engine binds ports to it when it starts.
# SIOCSIFFLAGS and IFF_UP: netdevice(7).
# The shims of containerd have their sockets in one place whatever its folders are; what a killed engine left there
# would be nobody's. In its mount namespace a file system of its own lies over that, and goes with it.
_ALONE = """
import ctypes, fcntl, os, socket, struct, sys
shims = "/run/containerd/s"
os.makedirs(shims, mode=0o711, exist_ok=True)
library = ctypes.CDLL(None, use_errno=True)
if library.mount(b"devenv", shims.encode(), b"tmpfs", 0, b"mode=0711") != 0:
    sys.exit(f"{shims} cannot be covered: {os.strerror(ctypes.get_errno())}")
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 0x1))
os.execvp(sys.argv[1], sys.argv[1:])
"""
_SOCKET_PATH = 100  # bytes that the longest path of a unix socket may have here; unix(7) allows 107


class OwnEngine:
    """An engine whose data are below `folder`; `environ` makes the docker program and stacks use it."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self.folder = folder
        self.environ = dict(environ) | {"DOCKER_HOST": f"unix://{folder}/s", "DOCKER_CONTEXT": ""}
        self._group = group_name(folder.parent.parent.name)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers; raises VerificationFailed, or Never with its last words."""
        self.folder.mkdir(parents=True, exist_ok=True)
        options = {
            "host": f"unix://{self.folder}/s",
            "data-root": str(self.folder / "data"),
            "exec-root": str(self.folder / "x"),
            "pidfile": str(self.folder / "pid"),
            "config-file": str(self.folder / "none.json"),
            "cgroup-parent": f"/{self._group}",
            "bridge": "none",
            # Containers reach each other over their bridge, and published ports go through docker-proxy.
            "iptables": "false",
            "ip6tables": "false",
        }
        (self.folder / "none.json").write_text("{}", "ascii")
        (self.folder / "pid").unlink(missing_ok=True)  # of an engine whose process namespace is gone
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *("setpriv", "--pdeathsig", "KILL"),
                    *("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
                    *(sys.executable, "-I", "-c", _ALONE),
                    *("dockerd", *(f"--{name}={value}" for name, value in options.items())),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # ctrl-c is for the tests; they end the engine in their own time
            )
        wait_until("the second engine to answer", self._answers, START_WITHIN, every=0.1)

    def restart(self) -> None:
        """End it as an administrator does, and start it again."""
        self.stop()
        self.start()

    def stop(self) -> None:
        """End it: containers are stopped first."""
        process, self._process = self._process, None
        if process is None:
            return
        daemon = _child_of(process.pid)
        if daemon is not None:
            os.kill(daemon, signal.SIGTERM)
        try:
            process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()  # and with it, by --kill-child, all that is in its namespaces
            process.wait()

    def remove(self) -> None:
        """End it and remove its data and its control groups."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        remove_groups(self._group)

    def take_images(self, names: Mapping[str, str], environ: Mapping[str, str]) -> None:
        """Copy images of another engine: from its name to the name that they get here."""
        with subprocess.Popen(["docker", "save", *names], env=dict(environ), stdout=subprocess.PIPE) as save:
            subprocess.run(
                ["docker", "load", "--quiet"], stdin=save.stdout, env=self.environ, check=True, capture_output=True
            )
        if save.returncode != 0:
            raise DevenvError("the images could not be copied to the second engine", "Is the disk full?")
        for name, new in names.items():
            docker("tag", name, new, environ=self.environ)

    @contextlib.contextmanager
    def network(self) -> Iterator[None]:
        """Let this thread, and threads and programs that it starts, use the engine's network."""
        daemon = _child_of(self._process.pid) if self._process is not None else None
        if daemon is None:
            raise DevenvError("the second engine does not run")
        with Path("/proc/thread-self/ns/net").open("rb") as home, Path(f"/proc/{daemon}/ns/net").open("rb") as there:
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(home.fileno())

    def _answers(self) -> bool:
        process = self._process
        if process is None or process.poll() is not None:
            log = (self.folder / "log").read_text("utf-8", "replace")
            raise Never(f"dockerd ended: {log.strip()[-600:]}")
        return bool(docker("version", "--format", "{{.Server.Version}}", environ=self.environ))


def group_name(run: str) -> str:
    """Return the name of the control group that a run's second engine puts its containers into."""
    return f"devenv-{run}"


def groups_of(name: str) -> list[Path]:
    """Return the control groups of that name: one for each controller, or the one of cgroup v2."""
    return [path for path in (*CGROUPS.glob(f"*/{name}"), CGROUPS / name) if path.is_dir()]


def remove_groups(name: str) -> None:
    """Remove the control groups of that name; the kernel keeps those that have a process."""
    for group in groups_of(name):
        for folder, _, _ in os.walk(group, topdown=False):
            with contextlib.suppress(OSError):  # one that is in use is nobody's loss
                Path(folder).rmdir()


def why_not(folder: Path) -> str:
    """Say why no second engine can run here; empty where it can."""
    if platform.system() != "Linux" or os.geteuid() != 0:
        return "a second engine needs Linux and root"
    missing = [name for name in _NEEDED if shutil.which(name) is None]
    if missing:
        return f"a second engine needs {', '.join(missing)} on this machine"
    if len(os.fsencode(folder / "x" / "containerd" / "containerd-debug.sock")) > _SOCKET_PATH:
        return f"the path of {folder} is too long for the sockets of a second engine"
    return ""


def _child_of(pid: int) -> int | None:
    """Return the first child of a process, which is process 1 of the namespace that `unshare` made."""
    children: Iterable[str] = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
    return next(map(int, children), None)


def _enter(namespace: int) -> None:
    """Make the network namespace of that file the calling thread's (setns(2))."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.setns(namespace, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"setns: {os.strerror(number)}")
