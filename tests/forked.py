"""Programs that tests start as `python -m` does, forked from a process that has imported what they need.

Each is a process of its own, with its arguments, environment, folder, streams, signals and exit code; only its start
and its end cost hundredths of a second instead of half a second (devenv, pytest) or one and a half (Locust). What is
about the start itself (what is imported, a terminal, a command line that others see) starts Python anew.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import pickle
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
from functools import cache
from os import close, dup2, fork, pidfd_open, waitpid  # as they are before Locust's imports change them in os
from pathlib import Path
from typing import Any

from _pytest.config import default_plugins

ROOT = Path(__file__).parents[1]
LIMIT = 180.0  # seconds of a run, on a busy machine too
LARGEST = 1 << 20  # bytes of a request: arguments and an environment
SERVER = (
    *("prometheus_client", "starlette.applications", "starlette.middleware.gzip", "starlette.staticfiles"),
    *("uvicorn.main", "uvicorn.lifespan.on", "uvicorn.loops.auto", "uvicorn.protocols.http.auto"),
)
COMMANDS = (
    *("audit", "build", "build_call", "change", "checks", "completion", "config", "deploy", "doctor", "help", "init"),
    *("kube_apply", "kube_call", "kube_events", "kube_forward", "kube_logs", "kube_rollout", "kube_status", "logs"),
    *("parser", "progress", "run", "status", "up", "verify", "watch"),
)
CLUSTER = ("kubernetes", "kubernetes_validate", "devenv.backends.kube.backend", "devenv.backends.kube.connection")
# pytest warns of plugins that it cannot rewrite any more, unless they say that they need none.
PLUGINS = ("devenv", "platformdirs", "pytest_docker", "pytest_locust")
# What the programs import anyway.
IMPORTS = {
    "devenv": (*(f"devenv.cli.{name}" for name in COMMANDS), *CLUSTER, "docker"),
    "pytest": (
        *(f"_pytest.{name}" for name in default_plugins),
        *("devenv.verify.collector", "devenv.verify.fixtures", "devenv.verify.kube_fixtures", "devenv.runs.publish"),
        *("devenv.verify.docker_services", "devenv.verify.kube.environment", "devenv.verify.plugin", *CLUSTER),
        *("pytest_docker.plugin", "pytest_locust.plugin", "platformdirs.pytest_plugin"),
        *("attr", "docker", "httpx", "pdb", "sqlite3", "statistics", "tomllib", "xml.etree.ElementTree", "yaml"),
    ),
    "locust": (
        *("locust.main", "devenv.load.plugin", "devenv.load.users", "docker", "sqlite3"),
        *("gevent.fileobject", "gevent.resolver.thread", "httpcore", "httpcore._backends.anyio", "platformdirs.unix"),
    ),
    "docfront": (*SERVER, "aiohttp"),  # nothing of docsearch's own: tests start it from copies too
    "docindexer": (*SERVER, "psycopg", "psycopg_pool", "sqlite3"),
}


class Popen(subprocess.Popen[Any]):
    """A program that was forked: `Popen("devenv", "up", cwd=...)`, and else as any `subprocess.Popen`, of texts."""

    _status = -1  # a pipe with the number of the process and, at its end, its wait status

    def __init__(self, module: str, *arguments: str, text: bool = True, **options: Any) -> None:
        super().__init__([sys.executable, "-m", module, *arguments], text=text, **options)

    def _execute_child(self, args: list[str], *options: Any) -> None:
        _, _, _, _, cwd, env, _, _, _, *pipes = options[:15]
        streams = [given if given >= 0 else own for own, given in enumerate(pipes[i] for i in (0, 3, 5))]
        self._status, answer = os.pipe()
        try:
            environ = dict(os.environ if env is None else env)
            request = (args[2:], os.fspath(cwd or Path.cwd()), environ, options[20])
            socket.send_fds(template(args[2], network()), [pickle.dumps(request)], [*streams, answer])
        finally:
            os.close(answer)
            self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]
        number = os.read(self._status, 4)
        assert number, "the process that forks has ended"
        self.pid = int.from_bytes(number, "little")
        self._child_created = True

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        poll = select.poll()
        poll.register(self._status)
        if wait_flags & os.WNOHANG and not poll.poll(0):
            return 0, 0
        status = os.read(self._status, 4)
        os.close(self._status)
        return self.pid, int.from_bytes(status, "little") if status else signal.SIGKILL

    def _internal_poll(self, _deadstate: int | None = None, *_: Any) -> int | None:
        if self.returncode is None and self._waitpid_lock.acquire(blocking=False):  # type: ignore[attr-defined]
            try:
                if self.returncode is None and (ended := self._try_wait(os.WNOHANG))[0]:
                    self._handle_exitstatus(ended[1])  # type: ignore[attr-defined]
            finally:
                self._waitpid_lock.release()  # type: ignore[attr-defined]
        return self.returncode


def run(module: str, *arguments: str, timeout: float = LIMIT, **options: Any) -> subprocess.CompletedProcess[Any]:
    """Fork a program, and return its output when it has ended; it has no input unless `stdin` gives it one."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with Popen(module, *arguments, **pipes | options) as process:
        try:
            output, errors = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def network() -> str:
    """The network of this thread, in which what it starts is too (tests/stack/conftest.py)."""
    link = Path("/proc/thread-self/ns/net")
    return str(link.readlink()) if link.exists() else ""


@cache
def template(module: str, network: str) -> socket.socket:
    """Start the process whose forks run the module in that network, and return where it takes requests."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.forked", module, str(theirs.fileno())], cwd=ROOT, pass_fds=[theirs.fileno()],
            env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def serve(module: str, requests: socket.socket) -> None:
    """Fork for each request, and say how each fork ended; return in the fork, ready to be that program."""
    poll, receive = select.poll(), socket.recv_fds  # before the imports too
    paths = [path for path in sys.path if path != str(ROOT)]
    for name in IMPORTS.get(module, ()):
        importlib.import_module(name)
    if module == "pytest":
        for name in PLUGINS:
            sys.modules[name].__doc__ = "PYTEST_DONT_REWRITE"
    gc.freeze()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    poll.register(requests, select.POLLIN)
    waiting: dict[int, tuple[int, int]] = {}  # of each process's descriptor: its number, and who wants to know its end
    while True:
        for ready, _ in poll.poll():
            if ready != requests.fileno():
                number, answer = waiting.pop(ready)
                poll.unregister(ready)
                close(ready)
                os.write(answer, waitpid(number, 0)[1].to_bytes(4, "little"))
                close(answer)
                continue
            request, given, _, _ = receive(requests, LARGEST, 4)
            if not request:
                os._exit(0)
            number = fork()
            if not number:
                for descriptor, (_, answer) in waiting.items():
                    close(descriptor)
                    close(answer)
                requests.close()
                close(given[3])
                become(*pickle.loads(request), given[:3], paths)
                return
            os.write(given[3], number.to_bytes(4, "little"))
            descriptor = pidfd_open(number)
            waiting[descriptor] = number, given[3]
            poll.register(descriptor, select.POLLIN)
            for stream in given[:3]:
                close(stream)


def become(
    arguments: list[str], folder: str, environ: dict[str, str], new_session: bool, streams: list[int], paths: list[str]
) -> None:
    """Take what makes a process the one that was asked for."""
    if "gevent" in sys.modules:  # its loop would share one epoll, and what that waits for, with all other forks
        sys.modules["gevent"].reinit()
    if new_session:
        os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, stream in enumerate(streams):
        dup2(stream, number)
        close(stream)
    # Made anew: what a stream can do, as seeking, was asked when it was made.
    sys.stdin = sys.__stdin__ = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.__stderr__ = os.fdopen(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    if environ.get("PYTHONUNBUFFERED"):
        sys.stdout.reconfigure(write_through=True)
    sys.dont_write_bytecode = bool(environ.get("PYTHONDONTWRITEBYTECODE"))
    sys.path[:] = [folder, *filter(None, environ.get("PYTHONPATH", "").split(os.pathsep)), *paths]
    sys.orig_argv = [sys.executable, "-m", *arguments]
    sys.argv[:] = arguments


def finish(module: str) -> None:
    """Run the program and end with its code, in Python's order but without taking every module apart.

    That writes to most of the memory that the fork shares, 0.1 s each time. What Python prints on its way out because
    of the code (a traceback, a text as the code, an output that cannot be written) it prints as ever.
    """
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code: object = None
    except SystemExit as ended:
        code = ended.code
        if not isinstance(code, int | None):
            raise
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (AttributeError, OSError, ValueError):  # gone, or cannot be written: Python tries too, and complains
        sys.exit(code)
    os._exit(code or 0)


if __name__ == "__main__":
    serve(sys.argv[1], socket.socket(fileno=int(sys.argv[2])))
    finish(sys.argv[0])
