"""The lines above and below the table: header, cluster, banner, running change and keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple, cast

from textual import events
from textual.content import Content
from textual.keys import format_key
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from devenv.core.model import Action, Connection, ConnectionState, Phase, Progress, Resource, WatchStatus
from devenv.core.text import human_duration
from devenv.tui.header import HappeningsOf, connection_words, filled, header_parts
from devenv.tui.safe_text import Part, safe, safe_rows

if TYPE_CHECKING:
    from devenv.tui.widgets.build_lines import BuildLines


class Line(Widget):
    """Shows parts of text on one line; a harmless text is the caller's care, markup has no meaning here."""

    DEFAULT_CSS = """
    Line { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._parts: tuple[Part, ...] = ()
        self._content = Content("")
        self.updates = 0  # how often it said something else: a budget of the tests

    def say(self, *parts: Part) -> None:
        """Show these parts; nothing is drawn when they are what is shown."""
        if parts == self._parts:
            return
        self._parts = parts
        self._content = Content.assemble(*parts)
        self.updates += 1
        self.refresh()

    @property
    def text(self) -> str:
        """What it says, without styles."""
        return self._content.plain

    def render(self) -> Content:
        """Return what is shown."""
        return self._content


class HeaderBar(Line):
    """Puts together what fits; what matters least gives way first."""

    _last: tuple[str, Connection | None, Iterable[Resource], float, WatchStatus, HappeningsOf] | None = None

    def on_resize(self) -> None:
        """Choose again what fits."""
        if self._last is not None:
            self.tell(*self._last)

    def tell(
        self,
        project: str,
        connection: Connection | None,
        resources: Iterable[Resource],
        now: float,
        watch: WatchStatus,
        happenings: HappeningsOf,
    ) -> None:
        """Show this state of affairs."""
        self._last = (project, connection, resources, now, watch, happenings)
        width = self.size.width or self.app.size.width  # it spans the screen, also before its first layout
        self.say(*header_parts(project, connection, resources, now, width, watch, happenings))


_PODS = {
    "ready": "$success",
    "not ready": "$warning",
    "pending": "$warning",
    "crashing": "$error",
    "terminating": "$quiet",
    "ended": "$quiet",
}


class ClusterBar(Line):
    """Read-only contexts are shown by a word and by another colour of the whole line."""

    DEFAULT_CSS = """
    ClusterBar { background: $bar; }
    ClusterBar.-read-only { background: $warning 30%; }
    ClusterBar.-read-only:ansi { background: ansi_yellow; color: ansi_black; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.display = False
        self._last: tuple[str, str, Connection | None, dict[str, int], bool, str, float] | None = None

    def on_resize(self) -> None:
        """Choose again what fits."""
        if self._last is not None:
            self.tell(*self._last)

    def tell(
        self,
        context: str,
        namespace: str,
        connection: Connection | None,
        counts: Mapping[str, int],
        may_change: bool,
        view: str,
        now: float,
    ) -> None:
        """Show this state of affairs; `view` names what the table shows, "" for the services."""
        self._last = (context, namespace, connection, dict(counts), may_change, view, now)
        self.display = True
        self.set_class(not may_change, "-read-only")
        left: list[Part] = [(" ⎈ ", "bold"), (f"{safe(context)}/{safe(namespace)}", "bold"), ("  ", "")]
        if not may_change:
            left.append((" READ-ONLY ", "bold reverse"))
            left.append(("  ", ""))
        left.append(connection_words(connection, now))
        if view:
            left.append((f"  :{safe(view)}", "bold $accent"))
        right: list[Part] = []
        total = sum(counts.values())
        if total:
            right = [(f"{total:,} pod{'' if total == 1 else 's'}", "")]
            for word, style in _PODS.items():
                if counts.get(word) and (word != "ready" or counts[word] != total):
                    right += [(" · ", "$quiet"), (f"{counts[word]:,} {word}", style)]
        right.append((" ", ""))
        extras = (connection.version, connection.endpoint) if connection is not None else ()
        self.say(*filled(left, extras, right, self.size.width))


BANNER_ROWS = (8, 3)  # of the screen: all that it may take, and the hint's part of them (main.tcss: max-height)
BANNER_ROWS_LOW = (4, 2)  # on a terminal of few rows: the log must keep some
LOW = 30  # rows
EDGE = 3  # cells of its border and padding


class Banner(Static):
    """Shows the message and the hint of a connection that is not well."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self.display = False
        self._last: tuple[ConnectionState, str, str] | None = None
        self._drawn_for: tuple[int, ...] = ()

    def tell(self, connection: Connection | None, note: tuple[str, str] = ("", "")) -> None:
        """Show what that connection says; where all is well the note with its hint, or nothing."""
        content: tuple[ConnectionState, str, str] | None = None
        if connection is not None and (connection.state is not ConnectionState.LIVE or connection.message):
            content = (connection.state, connection.message, connection.hint)
        elif note[0]:
            content = (ConnectionState.LIVE, *note)
        if content == self._last and self._drawn_for == tuple(self.app.size):
            return
        self._last, self._drawn_for = content, tuple(self.app.size)
        self.display = content is not None and bool(content[1] or content[2])
        if self.is_attached:  # records still come while the screen is taken down
            self.screen.set_class(bool(self.display), "-banner")
        if content is None or not self.display:
            return
        state, message, hint = content
        failed = state is ConnectionState.FAILED
        self.set_class(failed, "-failed")
        rows, of_hint = BANNER_ROWS_LOW if self.app.size.height < LOW else BANNER_ROWS
        width = max(8, self.app.size.width - EDGE)
        below = safe_rows("→ ", hint, width, of_hint)
        above = safe_rows("✗ " if failed else "▲ ", message or "no connection", width, rows - len(below))
        style = "$error bold" if failed else "$warning"
        self.update(Content.assemble(("\n".join(above), style), *((f"\n{line}", "$foreground") for line in below)))

    def on_resize(self, event: events.Resize) -> None:
        """Cut it anew for another width."""
        if self._last is not None:
            state, message, hint = self._last
            self.tell(Connection("", state, message=message, hint=hint), (message, hint))


FAILURE_ROWS = (13, 5)  # of the screen, below the title: all that a failure may take, and the hint's part (main.tcss)
FAILURE_ROWS_LOW = (4, 2)  # on a terminal of few rows
BUILD_ROWS, BUILD_ROWS_LOW = 12, 3  # below the title, for the services that are built
SPINNER = "◐◓◑◒"


def action_title(action: Action) -> str:
    """Return what was asked for: the verb and its targets."""
    return f"{action.verb} {', '.join(action.targets) or 'project'}"


def step_words(progress: Iterable[Progress]) -> str:
    """Return the step that runs, with how many are done of how many."""
    steps = [step for step in progress if not step.parent_id]
    if not steps:
        return ""
    done = sum(step.status in ("done", "warning") for step in steps)
    working = next((step for step in reversed(steps) if step.status == "working"), steps[-1])
    percent = f" {working.percent}%" if working.percent else ""
    details = f" {working.details}" if working.details else ""
    return f"{done}/{len(steps)}  {working.id} {working.text}{percent}{details}"


class ActionBar(Static):
    """One line for each change that runs; as many as its error needs when one failed."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self.display = False
        self._last: tuple[tuple[str, str], ...] = ()
        self._acting: dict[int, Action] = {}
        self.failed: Action | None = None
        self._builds: dict[int, BuildLines] = {}

    @property
    def running(self) -> Action | None:
        """The change that began last, of those that run."""
        return next(reversed(self._acting.values()), None)

    @property
    def all_running(self) -> tuple[Action, ...]:
        """All changes that run, the oldest first."""
        return tuple(self._acting.values())

    def tell(self, actions: Iterable[Action], progress: Callable[[int], Mapping[str, Progress]], now: float) -> None:
        """Take in changed actions and show those that run, and the one that failed last until another begins.

        `progress` returns the steps of one of them.
        """
        for action in actions:
            if action.phase in (Phase.REQUESTED, Phase.RUNNING):
                if action.id not in self._acting:
                    self.failed = None
                self._acting[action.id] = action
                continue
            self._acting.pop(action.id, None)
            self._builds.pop(action.id, None)
            if action.phase is not Phase.DONE:
                self.failed = action
        self._draw(progress, now)

    def dismiss(self) -> None:
        """Put the failure away."""
        self.failed = None
        self._draw(lambda _: {}, 0.0)

    def _draw(self, progress: Callable[[int], Mapping[str, Progress]], now: float) -> None:
        parts: list[tuple[str, str]] = []
        for action in self._acting.values():
            parts += [("\n", "")] if parts else []
            parts += self._running_parts(action, progress(action.id).values(), now)
        if self.failed is not None:
            parts += [("\n", "")] if parts else []
            parts += self._failed_parts(self.failed)
        if tuple(parts) == self._last:
            return
        self._last = tuple(parts)
        self.display = bool(parts)
        if self.is_attached:  # as above
            self.screen.set_class(bool(self.display), "-acting")
        self.set_class(not self._acting and self.failed is not None, "-failed")
        self.update(Content.assemble(*parts))

    def _running_parts(self, action: Action, progress: Iterable[Progress], now: float) -> list[tuple[str, str]]:
        steps = tuple(progress)
        elapsed = max(0, int(now - action.at))
        words = step_words(steps) or action.detail or action.phase.value
        if action.id not in self._builds:
            from devenv.tui.widgets.build_lines import BuildLines  # deferred: nothing runs before the first paint

            self._builds[action.id] = BuildLines()
        rows = BUILD_ROWS_LOW if self.app.size.height < LOW else BUILD_ROWS
        width = max(8, self.app.size.width - EDGE)
        builds = self._builds[action.id].lines(steps, now, width, rows)
        return [*self._title_parts(action, words, elapsed), *(part for line in builds for part in (("\n", ""), *line))]

    def _title_parts(self, action: Action, words: str, elapsed: int) -> list[tuple[str, str]]:
        parts = [
            (f"{SPINNER[elapsed % len(SPINNER)]} {safe(action_title(action))}", "bold $accent"),
            (f"  {safe(words)}", "$foreground"),
            (f"  {human_duration(elapsed) if elapsed >= 1 else ''}  ", "$quiet"),
        ]
        return [*parts, ("x", "bold $primary"), (" cancel", "$quiet")] if action is self.running else parts

    def _failed_parts(self, action: Action) -> list[tuple[str, str]]:
        word = "refused" if action.phase is Phase.REFUSED else "failed"
        code = f" (exit code {action.exit_code})" if action.exit_code else ""
        parts = [
            (f"✗ {safe(action_title(action))} {word}{code}", "bold $error"),
            ("   x", "bold $primary"),
            (" dismiss", "$quiet"),
        ]
        rows, of_hint = FAILURE_ROWS_LOW if self.app.size.height < LOW else FAILURE_ROWS
        width = max(8, self.app.size.width - EDGE)
        hint = safe_rows("→ ", action.hint, width, of_hint)
        parts += [(f"\n{row}", "$foreground") for row in safe_rows("  ", action.detail, width, rows - len(hint))]
        parts += [(f"\n{row}", "$accent") for row in hint]
        return parts

    def on_resize(self, event: events.Resize) -> None:
        """Cut a failure anew for another width."""
        if not self._acting and self.failed is not None:
            self._draw(lambda _: {}, 0.0)


class KeyHint(NamedTuple):
    """A key, how it is written, and what it does."""

    key: str
    written: str
    meaning: str


def hints(screen: Screen[None]) -> tuple[list[KeyHint], list[KeyHint]]:
    """Return the valid keys of the screen: those of the focused widget, and the others, without what is not shown."""
    own: list[KeyHint] = []
    first: list[KeyHint] = []
    others: list[KeyHint] = []
    seen: set[str] = set()
    preferred: frozenset[str] = getattr(screen, "preferred_keys", frozenset())
    for node, binding, enabled, _ in screen.active_bindings.values():
        if binding.show and enabled and binding.action not in seen:
            seen.add(binding.action)
            hint = KeyHint(binding.key, binding.key_display or _written(binding.key), binding.description)
            if node is screen.focused:
                own.append(hint)
            else:
                (first if binding.id in preferred else others).append(hint)
    return own, first + others


def _written(key: str) -> str:
    """Write a key that the user chose as the others are: Textual calls "/" slash."""
    return format_key(key).replace("ctrl+", "^")


class FooterBar(Line):
    """Lists keys with their meaning; a click on one does what the key does."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._places: list[tuple[int, int, str]] = []

    def tell(self, screen: Screen[None], always: str = "question_mark") -> None:
        """Show the keys of the focused widget first; what does not fit is left out, the key named `always` last."""
        own, others = hints(screen)
        kept = [hint for hint in (*own, *others) if hint.key == always]
        room = self.size.width - 1 - sum(_cost(hint) for hint in kept)
        shown_hints = []
        for hint in (*own, *others):
            if hint.key != always and _cost(hint) <= room:
                room -= _cost(hint)
                shown_hints.append(hint)
        parts: list[Part] = [(" ", "")]
        self._places = []
        x = 1
        for hint in (*shown_hints, *kept):
            self._places.append((x, x + _cost(hint), hint.key))
            parts += [(hint.written, "bold $primary"), (f" {hint.meaning}  ", "$quiet")]
            x += _cost(hint)
        self.say(*parts)

    def on_resize(self) -> None:
        """Choose again what fits."""
        if self.is_attached:
            self.tell(cast(Screen[None], self.screen))

    def on_click(self, event: events.Click) -> None:
        """Press the key that was clicked."""
        for start, end, key in self._places:
            if start <= event.x < end:
                self.app.simulate_key(key)


def _cost(hint: KeyHint) -> int:
    return len(hint.written) + len(hint.meaning) + 3
