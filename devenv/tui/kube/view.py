"""What all views of a cluster have in common: a title, a text that is always up to date, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, ClassVar, Final, Protocol

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Static

from devenv.core.state import Delta
from devenv.tui.shown import shown
from devenv.tui.widgets.footer import FooterBar
from devenv.tui.widgets.line import Part
from devenv.tui.widgets.view_scroll import ViewScroll, ViewTitle

if TYPE_CHECKING:
    from devenv.core.state import Store
    from devenv.tui.kube.board import ClusterBoard
    from devenv.tui.kube.session import ClusterSession

AGAIN: Final = 1.0  # seconds between two looks where only ages change
PAUSE: Final = (
    0.25  # seconds between two looks in a flood of changes: a text is read, it need not be as quick as a table
)


class Cluster(Protocol):
    """What a view shows something of."""

    listeners: list[Callable[[Delta], None]]  # each is told what changed

    @property
    def store(self) -> Store:
        """What is known."""
        ...

    @property
    def board(self) -> ClusterBoard:
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
    """A text about something in the store, made again when something changed."""

    DEFAULT_CSS = """
    ClusterView { background: $background; color: $foreground; layout: vertical; }
    ClusterView FooterBar { background: $bar; }
    """
    AUTO_FOCUS = "ViewScroll"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "back", key_display="esc", id="view.back"),
        Binding("question_mark", "help", "help", key_display="?", show=False, id="view.help"),
    ]

    def __init__(self, cluster: Cluster, title: str) -> None:
        super().__init__()
        self.cluster = cluster
        self._heading = title
        self.head = ViewTitle()
        self.scroll = ViewScroll()
        self.body = Static(markup=False)
        self.footer = FooterBar()
        self._told: tuple[Part, ...] = ()
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

    def parts(self, width: int) -> list[Part]:
        """Return the text for a screen of that width."""
        raise NotImplementedError

    @property
    def heading(self) -> list[Part]:
        """The title's parts."""
        return [(f" {shown(self._heading)} ", "bold")]

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
        parts = tuple(self.parts(max(20, self.size.width - 6)))
        if parts != self._told:
            self._told = parts
            self.body.update(Content.assemble(*parts))

    def action_help(self) -> None:
        """Show all keys."""
        self.cluster.show_help()
