"""Runs Locust as people do: the program, on loadtests/, with a state folder of the test's own."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests import forked

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 180.0  # seconds for one run, on a busy machine too
SMALL = ("--headless", "--only-summary", "--documents", "40", "--collections", "2", "--spawn-rate", "20")


@dataclass
class Started:
    """A Locust that runs; `folder` gets its recording."""

    process: subprocess.Popen[str]
    folder: Path
    log: Path

    def output(self) -> str:
        return self.log.read_text("utf-8")

    def wait_for(self, condition: Callable[[], bool], what: str, seconds: float = LIMIT) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not happen: {self.output()[-3000:]}"
            assert self.process.poll() is None, f"it ended before {what}: {self.output()[-3000:]}"
            time.sleep(0.05)

    def is_loading(self) -> bool:
        """Whether users send requests."""
        return any(line["type"] == "load" and line["names"] for line in self.lines("load.jsonl"))

    def lines(self, name: str) -> list[dict[str, Any]]:
        path = self.folder / name
        whole = path.read_text("utf-8").rpartition("\n")[0].splitlines() if path.is_file() else []
        return [json.loads(line) for line in whole]

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        self.process.send_signal(number)

    def ended(self, seconds: float = LIMIT) -> Ended:
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"it did not end: {self.output()[-3000:]}") from None
        outcome = self.folder / "outcome.json"
        return Ended(code, self.output(), self, json.loads(outcome.read_text()) if outcome.is_file() else {})


@dataclass
class Ended:
    """What became of it; `outcome` is what it kept beside the recording."""

    code: int
    output: str
    started: Started
    outcome: dict[str, Any] = field(default_factory=dict)

    @property
    def broken(self) -> list[str]:
        """The thresholds that did not hold."""
        return [item["threshold"] for item in self.outcome.get("findings", ()) if item["holds"] is False]


@dataclass
class Runner:
    """Starts runs for one test folder."""

    folder: Path
    environ: dict[str, str]
    cwd: Path = ROOT
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))  # runs may start side by side
    started: list[Started] = field(default_factory=list)

    def start(self, *arguments: str, files: str = "loadtests") -> Started:
        number = next(self.numbers)
        folder, log = self.folder / f"run-{number}", self.folder / f"run-{number}.log"
        record = () if "--worker" in arguments else ("--record", str(folder))
        environ = {**os.environ, **self.environ, "XDG_STATE_HOME": str(self.folder / "state")}
        environ["PYTHONPATH"] = str(ROOT)
        with log.open("w") as output:
            process = forked.Popen(
                "locust", "-f", files, *arguments, *record,
                cwd=self.cwd, env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip
        made = Started(process, folder, log)
        self.started.append(made)
        return made

    def run(self, *arguments: str, files: str = "loadtests") -> Ended:
        return self.start(*arguments, files=files).ended()

    def close(self) -> None:
        for item in self.started:
            if item.process.poll() is None:
                item.process.kill()
                item.process.wait()


def free_port() -> str:
    """A port that nobody listens on, for a distributed Locust beside others."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])
