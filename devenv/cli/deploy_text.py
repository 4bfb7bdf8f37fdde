"""A deployment for people: each stage with its seconds as it ends, what is waited for, and the verdict."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import IO, Final

from devenv.cli.console import colors_wanted, paint
from devenv.control.deploy.outcome import Outcome, Stage, Status, Verdict
from devenv.control.kube.wait import Waiting
from devenv.core.text import human_duration

_MARKS: Final = {
    Status.DONE: ("✔", "green"),
    Status.FAILED: ("✘", "red"),
    Status.INCONCLUSIVE: ("?", "yellow"),
    Status.SKIPPED: ("-", "dim"),
}
_COLORS: Final = {Verdict.SUCCEEDED: "green", Verdict.APPLIED: "green", Verdict.PLANNED: "cyan", Verdict.FAILED: "red"}
_DIFFS: Final = ("created", "changed")


class Progress:
    """Writes to stderr while it goes on; every line once."""

    def __init__(self, stream: IO[str] | None = None, *, no_color: bool | None = None) -> None:
        self._stream = stream or sys.stderr
        self._color = colors_wanted(self._stream, no_color=no_color)
        self._words: set[str] = set()

    def ended(self, stage: Stage) -> None:
        """Tell a stage that has ended."""
        mark, color = _MARKS[stage.status]
        took = f" {human_duration(stage.seconds)}" if stage.status is not Status.SKIPPED else ""
        first = (stage.text.splitlines() or [""])[0]
        self._line(f"{paint(mark, color, self._color)} {stage.name:<10}{took:>10}  {first}".rstrip())
        for line in stage.details:
            self._line(f"  {'':<20}  {line}")

    def waiting(self, waiting: Waiting) -> None:
        """Tell what is waited for, when it is something new."""
        for words in waiting.words:
            if words not in self._words:
                self._words.add(words)
                self._line(f"  {'':<10}{human_duration(waiting.seconds):>10}  {paint(words, 'dim', self._color)}")

    def _line(self, text: str) -> None:
        self._stream.write(f"{text}\n")
        self._stream.flush()


def to_text(outcome: Outcome, painted: Callable[[str, str], str], *, diff: bool) -> list[str]:
    """Return what goes to stdout at the end: changes, what was left out, and the verdict."""
    lines = []
    if diff or outcome.verdict is Verdict.PLANNED:
        for item in outcome.changes:
            where = f"{item.namespace}/" if item.namespace else ""
            lines.append(f"{item.action:<10} {item.kind} {where}{item.name}")
            lines += [f"    {line}" for line in item.diff if item.action in _DIFFS]
    if outcome.left_out:
        lines.append(f"left to the administrator: {', '.join(outcome.left_out)} (--include-platform)")
    if outcome.prune and outcome.verdict is Verdict.PLANNED:
        lines.append(f"no longer rendered, would be deleted: {', '.join(outcome.prune)}")
    elif outcome.pruned:
        lines.append(f"no longer rendered, deleted: {', '.join(outcome.pruned)}")
    settled = outcome.prune if outcome.verdict is Verdict.PLANNED else outcome.pruned
    lines += [f"  lost: {loss}" for loss in outcome.losses if settled]
    stays = [title for title in outcome.no_longer_rendered if title not in settled]
    if stays:
        lines.append(f"no longer rendered, and not deleted: {', '.join(stays)}")
    lines += [f"note: {note}" for note in outcome.notes]
    verdict = painted(outcome.verdict.value, _COLORS.get(outcome.verdict, "yellow"))
    head = f"{outcome.overlay} to {outcome.namespace} in {outcome.context}: {verdict}"
    lines.append(f"{head} after {human_duration(outcome.seconds)}, revision {outcome.revision}")
    if outcome.reason:
        lines.append(f"  {outcome.reason}")
    if outcome.hint:
        lines.append(f"  hint: {outcome.hint}")
    return lines
