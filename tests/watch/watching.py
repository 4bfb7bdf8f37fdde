"""A project with `develop.watch` on the real engine, and `devenv watch` on it as a user starts it."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.engine.program import Program

Told = dict[str, Any]
COMPOSE = """
x-common: &common
  image: "${COMPOSE_PROJECT_NAME}-web"
  init: true
  stop_grace_period: 1s
  network_mode: none
services:
  web:
    build: {context: ./app, args: {BASE: "${CASE_IMAGE:?}"}}
    init: true
    stop_grace_period: 1s
    ports: ["127.0.0.1::8000"]
    develop:
      watch:
        - {action: sync, path: ./app/src, target: /srv/src, ignore: [private]}
        - {action: sync, path: ./shared, target: /srv/shared}
        - {action: sync+restart, path: ./app/settings.ini, target: /srv/settings.ini}
        - {action: rebuild, path: ./app/version}
  twin:
    <<: *common
    scale: 2
    command: [sleep, "1000"]
    user: "10001:10001"
    develop:
      watch:
        - {action: sync+exec, path: ./twin, target: /srv/twin, exec: {command: [touch, /tmp/ran]}}
  sealed:
    <<: *common
    read_only: true
    command: [sleep, "1000"]
    tmpfs: [/scratch]
    develop:
      watch:
        - {action: sync, path: ./sealed, target: /srv/sealed}
        - {action: sync, path: ./scratch, target: /scratch/in}
  foreign:
    <<: *common
    cap_drop: [ALL]
    user: "10001:10001"
    command: [sleep, "1000"]
    develop:
      watch:
        - {action: sync, path: ./foreign, target: /srv/foreign}
"""
DOCKERFILE = """ARG BASE
FROM ${BASE}
COPY --chown=10001:10001 src /srv/src
COPY serve.py version settings.ini /srv/
RUN if grep -q slow /srv/version; then sleep 120; fi
RUN mkdir /srv/foreign && chown 4242:4242 /srv/foreign && chmod 755 /srv/foreign && chown 10001 /srv
USER 10001:10001
ENV PYTHONDONTWRITEBYTECODE=1
CMD ["python3", "/srv/serve.py"]
"""
# Serves what page.py says, in a child that is replaced when page.py changes: as the reloaders of web frameworks do.
SERVE = """
import http.server, os, subprocess, sys, time
PAGE = "/srv/src/page.py"
if sys.argv[1:]:
    sys.path.insert(0, "/srv/src")
    import page
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(page.TEXT.encode())
        def log_message(self, *args):
            pass
    http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
def stamp():
    try:
        return os.stat(PAGE).st_mtime_ns
    except OSError:
        return 0
while True:
    seen = stamp()
    child = subprocess.Popen([sys.executable, __file__, "child"])
    while stamp() == seen:
        time.sleep(0.02)
    child.kill()
    child.wait()
"""
FILES = {
    "compose.yaml": COMPOSE,
    "devenv.toml": '[[verify.endpoint]]\nservice = "web"\nport = 8000\npath = "/"\n',
    "app/Dockerfile": DOCKERFILE,
    "app/.dockerignore": "src/ignored\n",
    "app/serve.py": SERVE,
    "app/version": "1\n",
    "app/settings.ini": "a\n",
    "app/src/page.py": 'TEXT = "first"\n',
    "shared/common.txt": "1\n",
    "twin/t.txt": "1\n",
    "sealed/s.txt": "1\n",
    "scratch/s.txt": "1\n",
    "foreign/f.txt": "1\n",
}


def write_project(folder: Path) -> None:
    """Write the files of the project."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


class Watching:
    """A running `devenv watch --json`: what it told, in order."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.told: list[Told] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def until(self, wanted: Callable[[Told], bool], since: int = 0, limit: float = 30.0) -> Told:
        """Wait for a report, among those from number `since` on; fail with all there are."""
        deadline = time.monotonic() + limit
        with self._news:
            while True:
                for item in self.told[since:]:
                    if wanted(item):
                        return item
                left = deadline - time.monotonic()
                assert left > 0, self.told[since:]
                assert self._reader.is_alive(), (self.told, self.process.stderr and self.process.stderr.read())
                self._news.wait(min(left, 0.5))

    def event(self, name: str, service: str = "web", since: int = 0) -> Told:
        """Wait for an event of a service."""
        return self.until(lambda item: item["event"] == name and item.get("service", "") == service, since)

    def after(self, action: Callable[[], object], event: str = "synced", service: str = "web") -> Told:
        """Do something and return the event that it led to."""
        since = len(self.told)
        action()
        return self.event(event, service, since)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end, where it has not; return its exit code."""
        self.process.send_signal(number)  # Popen asks first whether it has ended
        code = self.process.wait(timeout=60)
        self._reader.join(10)
        return code

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self.told.append(json.loads(line))
                self._news.notify_all()


@contextmanager
def watching(made: Program, *arguments: str) -> Iterator[Watching]:
    """Run it and wait until it is ready; afterwards it ends by SIGTERM, if it did not before."""
    found = Watching(made.start("watch", "--json", *arguments))
    try:
        found.until(lambda item: item["event"] == "ready")
        yield found
    finally:
        found.end()
        for stream in (found.process.stdout, found.process.stderr):
            if stream is not None:
                stream.close()


def inside(made: Program, path: str, service: str = "web", number: int = 1) -> str | None:
    """What a file in a container holds; None where it is not there."""
    name = f"{made.name}-{service}-{number}"
    command = ["docker", "exec", name, "cat", path]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout if done.returncode == 0 else None


def listed(made: Program, folder: str, form: str = "%P", service: str = "web") -> list[str]:
    """What is below a folder of a container, as `find` prints it."""
    command = ["docker", "exec", f"{made.name}-{service}-1", "find", folder, "-mindepth", "1", "-printf", f"{form}\\n"]
    return sorted(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines())
