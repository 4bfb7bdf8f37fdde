"""Progress of a long action on stderr: live lines on a terminal, else plain ones, each step once; ctrl-c ends it."""

from __future__ import annotations

import queue
import shutil
import sys
import threading
import time
from collections.abc import Callable
from typing import IO, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from devenv.cli.console import colors_wanted, paint, tell
from devenv.control.job import Report
from devenv.control.stream import Remark, service_of_step
from devenv.core.model import Progress
from devenv.core.signals import on_end
from devenv.core.text import human_duration

LONG = 10.0  # seconds: without a terminal, a wait that changes nothing for so long is reported
LABEL = 100  # characters of a step's name in a plain line: enough to know a long RUN by its beginning
FRAME = 0.1  # seconds between two pictures: a spinner looks alive from about 8 a second
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_MARKS = {"done": ("✔", "green"), "error": ("✘", "red"), "warning": ("!", "yellow")}


class _Row(Struct):
    progress: Progress
    began: float
    changed: float = 0.0
    ended: float | None = None


class Display:
    """Shows the steps of one action. Call `show` for each record, `tick` about every FRAME, `close` at the end."""

    def __init__(self, stream: IO[str] | None = None, *, no_color: bool | None = None) -> None:
        self._stream = stream or sys.stderr
        self._color = colors_wanted(self._stream, no_color=no_color)
        self._live = self._stream.isatty()
        self._rows: dict[str, _Row] = {}
        self._remarks: set[str] = set()
        self._printed: set[tuple[str, str, str]] = set()
        self._height = 0
        self._frame = 0
        self._drawn_at = 0.0

    def show(self, record: Progress | Remark) -> None:
        """Take one record."""
        if isinstance(record, Remark):
            if record.text not in self._remarks:
                self._remarks.add(record.text)
                self._line(paint(f"warning: {record.text}", "yellow", self._color))
            return
        if record.parent_id.startswith("Image ") or record.id.startswith(("network:", "volume:")):
            return  # a layer, or the file's name of a network: the image's and the network's own step tell it
        if record.status == "error" and record.id.startswith(("service:", "Image ", "Network ", "Volume ")):
            record = replace(record, text="Failed", details="")  # Compose says why once more when it ends
        now = time.monotonic()
        row = self._rows.get(record.id)
        if row is None or (row.ended is not None and record.status == "working"):
            row = self._rows[record.id] = _Row(record, now)
        if record != row.progress or not row.changed:
            row.changed = now
        row.progress = record
        row.ended = None if record.status == "working" else row.ended or now
        if not self._live:
            self._plain(row)

    def tick(self) -> None:
        """Draw the live lines again, at most once a FRAME; without a terminal, say what has been waited for long."""
        now = time.monotonic()
        if not self._live:
            for row in self._rows.values():
                if row.ended is None and row.progress.id.startswith("Service ") and now - row.changed >= LONG:
                    self._print(row)
        elif self._rows and now - self._drawn_at >= FRAME:
            self._drawn_at = now
            self._frame += 1
            self._draw(now)

    def close(self) -> None:
        """Draw the last picture and leave it on the screen."""
        if self._live and self._rows:
            self._draw(time.monotonic(), everything=True)
            self._height = 0

    def _plain(self, row: _Row) -> None:
        progress = row.progress
        # A build step is worth a line when it begins, since it may take minutes; of the others the end is news.
        is_build_step = progress.id.startswith("Step ")
        if progress.text == "Built" if is_build_step else progress.status == "working":
            return
        self._print(row)

    def _print(self, row: _Row) -> None:
        progress = row.progress
        news = (progress.id, progress.text, progress.details if progress.id.startswith("Service ") else "")
        if news in self._printed:
            return
        self._printed.add(news)
        took = f"  {human_duration(row.ended - row.began)}" if row.ended and row.ended > row.began else ""
        label = " ".join(self._label(progress).split())  # a RUN over several lines keeps its indentation
        label = label if len(label) <= LABEL else f"{label[: LABEL - 1]}…"
        self._stream.write(f"{label} {progress.text}{_details(progress)}{took}\n")
        self._stream.flush()

    def _line(self, text: str) -> None:
        self._erase()
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def _draw(self, now: float, *, everything: bool = False) -> None:
        size = shutil.get_terminal_size()
        rows = list(self._rows.values())
        limit = max(3, size.lines - 2)
        hidden = 0
        if len(rows) > limit and not everything:
            # What is under way matters most; of the rest, the newest.
            rows.sort(key=lambda row: (row.ended is not None, -(row.ended or 0)))
            hidden = len(rows) - limit + 1
            rows = rows[: limit - 1]
        lines = [self._row(row, now, size.columns) for row in rows]
        if hidden:
            lines.append(paint(f"  … and {hidden} more", "dim", self._color))
        self._erase()
        self._stream.write("".join(f"{line}\n" for line in lines))
        self._stream.flush()
        self._height = len(lines)

    def _erase(self) -> None:
        if self._height:
            self._stream.write(f"\x1b[{self._height}A\x1b[J")
            self._height = 0

    def _row(self, row: _Row, now: float, columns: int) -> str:
        progress = row.progress
        mark, color = _MARKS.get(progress.status, (_SPINNER[self._frame % len(_SPINNER)], "cyan"))
        elapsed = human_duration((row.ended or now) - row.began)
        room = max(10, columns - len(elapsed) - 5)
        text = f"{self._label(progress)}  {progress.text}{_details(progress)}"
        text = text if len(text) <= room else f"{text[: room - 1]}…"
        return f" {paint(mark, color, self._color)} {text:<{room}} {paint(elapsed, 'dim', self._color)}"

    def _label(self, progress: Progress) -> str:
        if progress.id.startswith("Step ") and progress.parent_id and f"[{progress.parent_id} " not in progress.id:
            return f"Step [{progress.parent_id}] {progress.id.removeprefix('Step ')}"
        service = service_of_step(progress.id)
        return f"Service {service}" if service else progress.id


def _details(progress: Progress) -> str:
    done = f" {progress.percent}%" if progress.percent else ""
    return f"{done}: {progress.details}" if progress.details else done


Result = TypeVar("Result")


class _StopAsked:
    """Somebody pressed ctrl-c, or wants devenv to end."""


def pump(
    name: str, action: Callable[[Report], Result], interrupt: Callable[[], None], *, no_color: bool | None = None
) -> Result:
    """Return what `action(report)` returns, or raise what it raises; ctrl-c calls `interrupt` and waits for the end.

    To be called in the main thread: only that one gets signals.
    """
    records: queue.SimpleQueue[Progress | Remark | _StopAsked | None] = queue.SimpleQueue()  # None: it has ended
    outcome: list[Result] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            outcome.append(action(records.put))
        except BaseException as error:  # noqa: BLE001  # carried to the main thread and raised there
            failure.append(error)
        finally:
            records.put(None)

    thread = threading.Thread(target=work, name=f"devenv-{name}", daemon=True)
    display = Display(no_color=no_color)
    # An exception out of a signal handler could strike anywhere below; a record in the queue cannot.
    restore = on_end(lambda name: records.put(_StopAsked()))
    try:
        thread.start()
        while True:
            try:
                record = records.get(timeout=FRAME)
            except queue.Empty:
                display.tick()
                continue
            if record is None:
                break
            if isinstance(record, _StopAsked):
                display.close()
                tell(f"\ndevenv: stopping {name} …", no_color=no_color)
                interrupt()
            else:
                display.show(record)
            display.tick()
    finally:
        restore()
    display.close()
    if failure:
        raise failure[0]
    return outcome[0]
