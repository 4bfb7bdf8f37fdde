"""`python -m benchmarks.bench_watch [--runs N] [--files N] [--idle S]`: `devenv watch` beside `docker compose watch`.

Two throw-away projects of one shape, each with a watch of its own, both running all the time. A save alternates between
them and is over when the container's own web server serves the new content, asked each 2 ms. Then each watches many
files: the time until it is ready, and what it costs while nothing is saved.
"""

from __future__ import annotations

import argparse
import http.client
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from benchmarks.figures import Figure, print_table
from benchmarks.stack import base_image

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 60.0  # seconds for one save
COMPOSE = """
services:
  web:
    image: "{image}"
    init: true
    stop_grace_period: 1s
    command: [python3, -m, http.server, "8000", --directory, /srv]
    ports: ["127.0.0.1::8000"]
    develop:
      watch:
        - {{action: sync, path: ./src, target: /srv/src}}
"""
COMMANDS = {
    "devenv watch": [sys.executable, "-m", "devenv", "watch"],
    "docker compose watch": ["docker", "compose", "watch", "--no-up"],
}
READY = {"devenv watch": " ready ", "docker compose watch": "Watch enabled"}  # what they write then


@dataclass(frozen=True)
class Side:
    """One project, its container's port, and the command that watches it."""

    program: str
    folder: Path
    name: str
    port: int

    @property
    def environ(self) -> dict[str, str]:
        state = {"XDG_STATE_HOME": str(self.folder.parent / "state"), "PYTHONPATH": str(ROOT)}
        return {**os.environ, **state, "COMPOSE_PROJECT_NAME": self.name}

    @property
    def log(self) -> Path:
        """What the watch wrote."""
        return self.folder.parent / f"{self.name}.log"

    @contextmanager
    def watching(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run the watch; it is not waited until it is ready."""
        with self.log.open("wb") as log:
            process = subprocess.Popen(
                COMMANDS[self.program],
                cwd=self.folder,
                env=self.environ,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            try:
                yield process
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)
                process.wait(30)

    def save(self, name: str = "a.txt", again: float = LIMIT) -> float:
        """Write new content, once more after each `again` seconds, and return the seconds until it is served."""
        text = uuid.uuid4().hex
        began = written = time.monotonic()
        (self.folder / "src" / name).write_text(text)
        while time.monotonic() - began < LIMIT:
            if self._served(name) == text:
                return time.monotonic() - began
            if time.monotonic() - written > again:
                written = time.monotonic()
                os.utime(self.folder / "src" / name)
            time.sleep(0.002)
        raise TimeoutError(f"{self.program} did not sync within {LIMIT:.0f} s")

    def _served(self, name: str) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", f"/src/{name}")
            return connection.getresponse().read().decode()
        except (OSError, http.client.HTTPException):
            return ""
        finally:
            connection.close()


@contextmanager
def side(program: str, top: Path, image: str) -> Iterator[Side]:
    """Bring a project up; remove it in the end."""
    name = f"devenv-bench-{uuid.uuid4().hex[:8]}"
    folder = top / name
    (folder / "src").mkdir(parents=True)
    (folder / "compose.yaml").write_text(COMPOSE.format(image=image))

    def compose(*arguments: str) -> str:
        command = ["docker", "compose", "-p", name, *arguments]
        return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()

    try:
        compose("up", "--detach")
        yield Side(program, folder, name, int(compose("port", "web", "8000").rpartition(":")[2]))
    finally:
        compose("down", "--timeout", "1")


def cost(process: subprocess.Popen[bytes], seconds: float) -> tuple[float, float]:
    """CPU in percent of a core over so many seconds of idling, and memory in MB, of a program and its children."""
    top = psutil.Process(process.pid)

    def spent() -> float:
        return sum(sum(one.cpu_times()[:2]) for one in (top, *top.children(recursive=True)))

    before = spent()
    time.sleep(seconds)
    memory = sum(one.memory_info().rss for one in (top, *top.children(recursive=True))) / 1e6
    return (spent() - before) / seconds * 100, memory


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_watch")
    parser.add_argument("--runs", type=int, default=20, help="saves with each program")
    parser.add_argument("--files", type=int, default=20_000, help="files that are watched in the second part")
    parser.add_argument("--idle", type=float, default=10.0, help="seconds of idling that are measured")
    arguments = parser.parse_args()
    figures: list[Figure] = []
    with TemporaryDirectory() as top, ExitStack() as stack:
        image = os.environ.get("DEVENV_TEST_IMAGE") or base_image()
        sides = [stack.enter_context(side(program, Path(top), image)) for program in COMMANDS]
        with ExitStack() as watches:
            for one in sides:
                watches.enter_context(one.watching())
                one.save(again=1.0)  # until it is ready
            taken: dict[str, list[float]] = {program: [] for program in COMMANDS}
            for _ in range(arguments.runs):
                for one in sides:
                    time.sleep(0.5)
                    taken[one.program].append(one.save())
        ours, theirs = (tuple(taken[program]) for program in COMMANDS)
        figures += [
            Figure("save to content in the container", "devenv watch", ours, "s", "<= half of Compose's"),
            Figure("save to content in the container", "docker compose watch", theirs, "s"),
        ]
        many = f"{arguments.files:,} files"
        for one in sides:
            for number in range(arguments.files):
                folder = one.folder / "src" / f"f{number // 100}"
                folder.mkdir(exist_ok=True)
                (folder / f"{number}.txt").write_text("x")
            is_ours = one.program == "devenv watch"
            began = time.monotonic()
            with one.watching() as process:
                while READY[one.program] not in one.log.read_text():
                    time.sleep(0.01)
                ready = time.monotonic() - began
                one.save(again=1.0)
                served = one.save()
                cpu, memory = cost(process, arguments.idle)
            figures += [
                Figure(f"start of the program to ready, {many}", one.program, (ready,), "s", "< 1 s" * is_ours),
                Figure(f"save to content, {many}", one.program, (served,), "s"),
                Figure(f"CPU while nothing is saved, {many}", one.program, (cpu,), "%", "no CPU to speak of" * is_ours),
                Figure(f"memory, {many}", one.program, (memory,), "MB"),
            ]
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print_table(figures)


if __name__ == "__main__":
    main()
