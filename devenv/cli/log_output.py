"""What `devenv logs` and `devenv kube logs` share: how lines are filtered and written, reading ahead, following."""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import NoReturn, Protocol, TypeVar

from msgspec.structs import replace

from devenv.backends.protocol import Backend
from devenv.cli.console import colors_wanted, paint, tell, warn
from devenv.core.errors import DevenvError, UsageError
from devenv.core.model import Change, Connection, LogLine, LogsDropped
from devenv.core.text import sanitize
from devenv.logs.filter import line_filter
from devenv.logs.merge import WINDOW, Reorder
from devenv.logs.record import LEVELS, fields_of, level_of

LINES_WAITING = 500_000  # lines that may wait for whoever reads stdout, until the oldest are dropped and counted
_COLORS = ("cyan", "yellow", "green", "blue")
Item = TypeVar("Item")


class LogOutput:
    """Writes lines that pass the filters to stdout, and marks of our own to stderr. Raises UsageError when made."""

    def __init__(self, arguments: Namespace, names: Iterable[str] = (), *, gap: str = " ", raw: bool = False) -> None:
        """`names` of sources are padded to the longest; `gap` stands between a name and its bar.

        `raw` says that lines are as they came: they are filtered by what a terminal would show of them.
        """
        if arguments.follow and (arguments.previous or arguments.until is not None):
            raise UsageError("--follow does not go with --previous or --until", "Leave out one of them.")
        try:
            self.filter = line_filter(arguments.grep, arguments.level, arguments.since, arguments.until)
        except ValueError as error:
            raise UsageError(f"--grep: {error}") from error
        self._json = arguments.json
        self._raw = raw and bool(self.filter.filters)
        self._timestamps = arguments.timestamps
        self._no_color: bool | None = arguments.no_color
        self._colored = colors_wanted(sys.stdout, no_color=arguments.no_color)
        self._colors: dict[str, str] = {}
        self._width = max(map(len, names), default=0)
        self._gap = gap

    def write(self, line: LogLine, name: str) -> None:
        """Write a line of the source of that name; "" where there is one alone. Raises PatternTooSlow."""
        if not self.filter.passes(replace(line, text=sanitize(line.text)) if self._raw else line):
            return
        if line.stream == "devenv":
            sys.stdout.flush()
            tell(f"{name + ' | ' if name else ''}-- {line.text} --", no_color=self._no_color, color="dim")
        elif self._json:
            sys.stdout.write(json.dumps(_as_json(line, name), ensure_ascii=False) + "\n")
        else:
            sys.stdout.write(self._as_text(line, name))

    def _as_text(self, line: LogLine, name: str) -> str:
        at = f"{_time(line.at, 'milliseconds')} " if self._timestamps and line.at is not None else ""
        container = f"[{line.stream}] " if line.stream not in ("", "stdout", "stderr") else ""
        cut = f"… [{line.cut} bytes more, cut]" if line.cut else ""
        front = ""
        if name:
            color = self._colors.setdefault(name, _COLORS[len(self._colors) % len(_COLORS)])
            front = f"{paint(f'{name:<{self._width}}{self._gap}|', color, self._colored)} "
        return f"{front}{at}{container}{self._styled(line)}{cut}\n"

    def _styled(self, line: LogLine) -> str:
        """Return the text, on a terminal with its own colours."""
        if not (self._colored and line.styles):
            return line.text
        parts, end = [], 0
        for start, stop, codes in line.styles:
            parts += [line.text[end:start], f"\x1b[{codes}m{line.text[start:stop]}\x1b[0m"]
            end = stop
        return "".join([*parts, line.text[end:]])


def _as_json(line: LogLine, name: str) -> dict[str, object]:
    level = level_of(line.text)
    fields = fields_of(line.text)
    return {
        "at": _time(line.at, "microseconds") if line.at is not None else None,
        "source": name or None,
        "stream": line.stream or "stdout",
        "level": LEVELS[level - 1] if level else None,
        "text": line.text,
        **({"cut_bytes": line.cut} if line.cut else {}),
        **({"fields": fields} if fields else {}),
    }


def _time(at: float, precision: str) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec=precision)


class Pulse(Protocol):
    """What notices that the other side is silent."""

    @property
    def error(self) -> DevenvError | None:
        """Why nothing is to be expected any more."""
        ...


def in_thread(read: Callable[[], Iterable[Item]], pulse: Pulse | None = None) -> Iterator[Item]:
    """Yield what `read` yields in a thread of its own, a little ahead; raises what it raises, or the pulse's error."""
    waiting: queue.Queue[tuple[Item | None, BaseException | None]] = queue.Queue(64)

    def work() -> None:
        error: BaseException | None = None
        try:
            for item in read():
                waiting.put((item, None))
        except Exception as caught:  # noqa: BLE001 - it is raised where the items are taken
            error = caught
        waiting.put((None, error or StopIteration()))

    threading.Thread(target=work, name="devenv-log-source", daemon=True).start()
    while True:
        try:
            item, error = waiting.get(timeout=0.2)
        except queue.Empty:
            if pulse is not None and pulse.error is not None:
                raise pulse.error from None
            continue
        if isinstance(error, StopIteration):
            return
        if error is not None:
            raise error
        yield item  # type: ignore[misc]  # an item comes without an error


def follow(
    backend: Backend,
    output: LogOutput,
    name_of: Callable[[str], str],
    notice: Callable[[Sequence[Change]], None],
    *,
    several: bool,
    no_color: bool | None,
    pulse: Pulse | None = None,
) -> NoReturn:
    """Write lines as they come until ctrl-c, those of several sources in the order of their times.

    `notice` gets all records before the lines among them are written, and asks the backend for what is to be followed.
    """
    woken = threading.Event()
    reorder = Reorder(WINDOW if several else 0.0)
    last_said = ""
    backend.start(woken.set)
    try:
        while True:
            woken.wait(WINDOW / 3 if reorder else 0.5)
            woken.clear()
            if pulse is not None and pulse.error is not None:
                raise pulse.error
            changes = backend.drain()
            notice(changes)
            for change in changes:
                if isinstance(change, LogsDropped):
                    name = name_of(change.key) or "the log"
                    warn(f"{name}: {change.count} lines were dropped, this reader is too slow", no_color=no_color)
                elif isinstance(change, Connection) and change.message != last_said:
                    last_said = change.message
                    warn(last_said or "it answers again", no_color=no_color)
            reorder.put(change for change in changes if isinstance(change, LogLine))
            for line in reorder.ready():
                output.write(line, name_of(line.key))
            sys.stdout.flush()
    finally:
        backend.stop()
        for line in reorder.rest():
            output.write(line, name_of(line.key))


def since_seconds(since: float | None) -> float | None:
    """Return how many seconds ago that was."""
    return None if since is None else max(1.0, time.time() - since)
