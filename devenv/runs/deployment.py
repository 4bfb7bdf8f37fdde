"""A deployment in the background, for the terminal: `devenv deploy` as a program of its own, and how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from devenv.control.deploy.outcome import Result, Stage, Status
from devenv.runs.identity import StreamedRun


class Deploys(NamedTuple):
    """What can be deployed, and how: `start` runs `devenv deploy` with these words; raises DevenvError.

    `proof` are the options that a deployment of this project is proven with.
    """

    overlays: tuple[str, ...]
    proof: tuple[str, ...]
    start: Callable[[Sequence[str]], StreamedRun]


@dataclass
class DeployState:
    """One deployment, or the look at what it would change; `words` are those of its command line."""

    words: tuple[str, ...]
    began: float
    stages: list[Stage] = field(default_factory=list)
    running: str = ""  # the stage that is under way
    running_since: float = 0.0
    waiting: tuple[str, ...] = ()  # what that waits for
    outcome: Mapping[str, Any] = field(default_factory=dict)  # docs/schemas/deploy-report.schema.json, at its end
    cancelled: bool = False
    exit_code: int | None = None
    ended: float = 0.0
    last_words: str = ""

    @property
    def overlay(self) -> str:
        """What is deployed."""
        return self.words[0]

    @property
    def is_plan(self) -> bool:
        """Whether nothing is changed."""
        return "--dry-run" in self.words

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.exit_code is not None

    @property
    def result(self) -> str:
        """How it ended, in devenv's word; "failed" where it never began."""
        return str(self.outcome.get("verdict", Result.FAILED))

    @property
    def changes(self) -> list[str]:
        """What it changes, or would change: each object that is created or changed."""
        items = self.outcome.get("changes", ())
        return [f"{one['action']} {one['kind']} {one['name']}" for one in items if one["action"] != "unchanged"]

    def take(self, lines: Iterable[Mapping[str, Any]], now: float) -> None:
        """Apply lines of the run."""
        for line in lines:
            if line["phase"] == "begins":
                self.running, self.running_since, self.waiting = line["name"], now, ()
            elif line["phase"] == "waiting":
                self.waiting = tuple(line["words"])
            elif line["phase"] == "stage":
                status, details = Status(line["status"]), tuple(line["details"])
                self.stages.append(Stage(line["name"], status, line["seconds"], line["text"], details))
                self.running, self.waiting = "", ()
            elif line["phase"] == "ended":
                self.outcome = line["outcome"]

    def end(self, exit_code: int, at: float, last_words: str) -> None:
        """Note that the program has ended."""
        self.exit_code, self.ended, self.last_words, self.running = exit_code, at, last_words, ""
