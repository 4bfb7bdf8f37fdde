"""The screens about a cluster: what all have in common, its events as a line of time, and its open port-forwards."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from time import monotonic
from typing import TYPE_CHECKING, ClassVar, Final, Protocol

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Static

from devenv.core.masking import mask_secrets
from devenv.core.model import Happening, Runtime
from devenv.core.state import Delta
from devenv.core.text import human_age, human_bytes
from devenv.tui.detail import clock
from devenv.tui.safe_text import Part, fit, safe
from devenv.tui.tabs import timeline
from devenv.tui.widgets.bars import FooterBar
from devenv.tui.widgets.text_pane import ViewScroll, ViewTitle, show_text

if TYPE_CHECKING:
    from devenv.core.state import Store
    from devenv.tui.kube.session import ClusterSession, Forwarding
    from devenv.tui.table.board import Board

AGAIN: Final = 1.0  # seconds between two looks where only ages change
PAUSE: Final = (
    0.25  # seconds between two looks in a flood of changes: a text is read, it need not be as quick as a table
)


class Cluster(Protocol):
    """What a view shows something of."""

    listeners: list[Callable[[Delta], None]]  # each is called with what changed

    @property
    def store(self) -> Store:
        """What is known."""
        ...

    @property
    def board(self) -> Board:
        """Services and workloads with their pods, and how autoscalers went."""
        ...

    @property
    def session(self) -> ClusterSession | None:
        """The cluster that is shown."""
        ...

    @property
    def selected_service(self) -> tuple[str, str]:
        """Namespace and name of the selected service; ("", "") where none is selected."""
        ...

    def show_help(self) -> None:
        """Show all keys."""
        ...


class ClusterView(Screen[None]):
    """A text about something in the store, made again when something changed.

    `parts` makes it for a screen of that width.
    """

    DEFAULT_CSS = """
    ClusterView { background: $background; color: $foreground; layout: vertical; }
    ClusterView FooterBar { background: $bar; }
    """
    AUTO_FOCUS = "ViewScroll"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "back", key_display="esc", id="view.back"),
        Binding("question_mark", "help", "help", key_display="?", show=False, id="view.help"),
    ]

    def __init__(self, cluster: Cluster, title: str, parts: Callable[[int], list[Part]]) -> None:
        super().__init__()
        self._parts = parts
        self.cluster = cluster
        self._heading = title
        self.head = ViewTitle()
        self.scroll = ViewScroll()
        self.body = Static(markup=False)
        self.footer = FooterBar()
        self._last: tuple[Part, ...] = ()
        self._looked = 0.0
        self._later: Timer | None = None
        self.looks = 0  # since it was opened: a budget of the tests

    def compose(self) -> ComposeResult:
        """Put the title above the text."""
        yield self.head
        with self.scroll:
            yield self.body
        yield self.footer

    def on_mount(self) -> None:
        """Begin to listen."""
        self.bindings_updated_signal.subscribe(self, lambda _: self.footer.tell(self, always="escape"))
        self.begin()
        self.cluster.listeners.append(self.heard)
        self.set_interval(AGAIN, self.show)
        self.call_after_refresh(self.show)

    def on_unmount(self) -> None:
        """Listen no more."""
        if self.heard in self.cluster.listeners:
            self.cluster.listeners.remove(self.heard)

    def on_resize(self) -> None:
        """Make the text for the new width."""
        self.show()

    def heard(self, delta: Delta) -> None:
        """Take in what changed, and look at it: at once after a quiet moment, seldom in a flood."""
        self.learn(delta)
        rest = self._looked + PAUSE - monotonic()
        if rest <= 0:
            self.show()
        elif self._later is None:
            self._later = self.set_timer(rest, self.show)

    def begin(self) -> None:
        """Find out what there is to show, before the first `learn`; a view that knows its key needs nothing."""

    def learn(self, delta: Delta) -> None:
        """Note what changed; what one change costs does not grow with how much there is."""

    @property
    def heading(self) -> list[Part]:
        """The title's parts."""
        return [(f" {safe(self._heading)} ", "bold")]

    @property
    def text(self) -> str:
        """What it shows, without styles."""
        return "".join(text for text, _ in self._last)

    def show(self) -> None:
        """Draw the text if it differs from what is shown."""
        if self._later is not None:
            self._later.stop()
            self._later = None
        if not self.is_attached or not self.size.width:
            return
        self._looked = monotonic()
        self.looks += 1
        self.head.say(*self.heading)
        parts = tuple(self._parts(max(20, self.size.width - 6)))
        if parts != self._last:
            self._last = parts
            show_text(self.body, parts)

    def action_help(self) -> None:
        """Show all keys."""
        self.cluster.show_help()


KEPT = 400  # lines


class EventsScreen(ClusterView):
    """Newest first, warnings marked; a line of time above shows when it was lively."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("w", "warnings", "warnings only", id="events.warnings"),
        Binding("a", "everything", "all/selected", id="events.all"),
    ]

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster, "EVENTS", self.parts)
        self._only_warnings = False
        self._everything = cluster.selected_service == ("", "")
        self._service = cluster.selected_service
        self._eventful: dict[str, None] = {}  # keys of what something happened to, a few of all that there is

    def begin(self) -> None:
        """Find what something happened to."""
        store = self.cluster.store
        self._eventful = dict.fromkeys(key for key in store.resources if store.happenings(key))

    def learn(self, delta: Delta) -> None:
        """Note what something happened to, also what is not there yet."""
        for key in delta.removed:
            self._eventful.pop(key, None)
        self._eventful.update((happening.key, None) for happening in delta.happenings)

    @property
    def heading(self) -> list[Part]:
        """Whose events these are."""
        whose = "of everything watched" if self._everything else f"of {safe(self._service[1])}"
        parts: list[Part] = [(" EVENTS ", "bold"), (f"{whose} ", "bold $primary")]
        return [*parts, (" warnings only", "$warning")] if self._only_warnings else parts

    def action_warnings(self) -> None:
        """Show warnings only, or all."""
        self._only_warnings = not self._only_warnings
        self.show()

    def action_everything(self) -> None:
        """Show the events of everything, or of the selected service."""
        self._everything = not self._everything or self._service == ("", "")
        self.show()

    def parts(self, width: int) -> list[Part]:
        """Return the line of time and the events below it."""
        happened = list(self._happenings())
        if self._only_warnings:
            happened = [item for item in happened if item[0].is_warning]
        if not happened:
            return [("no events; the API keeps them for an hour\n", "$quiet")]
        happened.sort(key=lambda item: item[0].at, reverse=True)
        parts = timeline([happening for happening, _ in happened], time.time(), max(10, min(width, 120) - 12))
        for happening, name in happened[:KEPT]:
            warning = happening.is_warning
            parts.append((f"{clock(happening.at)} ", "$quiet"))
            parts.append((f"{'▲' if warning else '·'} {safe(happening.action)}", "$warning" if warning else "bold"))
            parts.append((f" ×{safe(happening.count)}" if happening.count not in ("", "1") else "", "$accent"))
            parts.append((f"  {safe(name)}", "$primary"))
            parts.append((f"  {safe(mask_secrets(happening.text))}\n", "$foreground"))
        if len(happened) > KEPT:
            parts.append((f"… {len(happened) - KEPT:,} older ones\n", "$quiet"))
        return parts

    def _happenings(self) -> Iterator[tuple[Happening, str]]:
        store = self.cluster.store
        for key in tuple(self._eventful):
            resource = store.resource(key)
            if resource is None or resource.runtime is not Runtime.KUBERNETES:
                continue
            if self._everything or (resource.namespace, resource.service or resource.name) == self._service:
                for happening in store.happenings(key):
                    yield happening, f"{resource.kind}/{resource.name}"


class ForwardsScreen(ClusterView):
    """One entry a port; the marked one can be closed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "step(-1)", "up", show=False, priority=True, id="forwards.up"),
        Binding("down,j", "step(1)", "down", show=False, priority=True, id="forwards.down"),
        Binding("x", "close", "close it", id="forwards.close"),
    ]

    def __init__(self, cluster: Cluster, forwards: Sequence[Forwarding], close: Callable[[int], None]) -> None:
        super().__init__(cluster, "PORT-FORWARDS", self.parts)
        self._forwards = forwards
        self._close = close
        self._at = 0

    def action_step(self, step: int) -> None:
        """Mark another one."""
        self._at = max(0, min(self._at + step, len(self._forwards) - 1))
        self.show()

    def action_close(self) -> None:
        """Close the marked one."""
        self._close(self._at)
        self.action_step(0)

    def parts(self, width: int) -> list[Part]:
        """Return the list with its traffic."""
        if not self._forwards:
            return [("none is open; f on a pod, workload or service opens one\n", "$quiet")]
        parts: list[Part] = [
            (f"  {'LOCAL':<17}{'LEADS TO':<30}{'SENT':>9}{'RECEIVED':>10}  OPEN  ALL\n", "bold $quiet")
        ]
        for index, forward in enumerate(self._forwards):
            stats = forward.stats()
            place = f"127.0.0.1:{stats.local_port}"
            mark = "▌ " if index == self._at else "  "
            parts.append((mark, "$primary"))
            parts.append((f"{place:<17}{fit(safe(stats.target), 28)}  ", "bold"))
            parts.append((f"{human_bytes(stats.sent):>9}{human_bytes(stats.received):>10}", "$foreground"))
            parts.append((f"{stats.open:>6}{stats.connections:>5}\n", "$foreground"))
            pod = f"pod {stats.pod}:{stats.pod_port}" if stats.pod else "no pod"
            again = f", made again {stats.replacements}×" if stats.replacements else ""
            failed = f", {stats.failed} failed" if stats.failed else ""
            age = human_age(stats.seconds)
            parts.append((f"    {safe(stats.namespace)}  {safe(pod)}{again}{failed}, since {age}\n", "$quiet"))
            if stats.waiting:
                parts.append((f"    waits: {safe(stats.waiting)}\n", "$warning"))
            if stats.error:
                parts.append((f"    last error: {safe(stats.error)}\n", "$warning"))
        return parts
