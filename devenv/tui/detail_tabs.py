"""Which tab of the details is open, what is read for it in a thread, and what it shows of the selected row."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from devenv.backends.look import Subject
from devenv.backends.protocol import Backend
from devenv.core.errors import DevenvError
from devenv.core.model import HealthCheck, Resource, Runtime, State
from devenv.tui import probes
from devenv.tui.detail import describe, use
from devenv.tui.safe_text import Part, safe
from devenv.tui.table.lines import Row
from devenv.tui.tabs import INSPECT, OVERVIEW, TABS, Subjects, Tab, tab_line, url_of

if TYPE_CHECKING:
    from devenv.core.state import Store
    from devenv.tui.table.board import Board
    from devenv.tui.table.lines import GroupKey
    from devenv.tui.widgets.text_pane import DetailPane

REVEALED: Final = 10.0  # seconds
READ_AGAIN: Final = 3.0  # seconds between two looks at the processes
CHECKS_KEPT: Final = 200
Paths = Callable[[], Mapping[str, str]]  # the path to probe of each service that has one, as devenv.toml says


class DetailTabs:
    """The details of the selected row, one tab at a time; what is not on screen is neither read nor probed."""

    def __init__(
        self,
        pane: DetailPane,
        backend: Backend,
        store: Store,
        board: Board,
        *,
        describe_group: Callable[[GroupKey], tuple[list[Part], list[Part]] | None],
        verdicts: Callable[[Resource], list[Part]],
        redraw: Callable[[], None],
        paths: Paths,
    ) -> None:
        """`redraw` tells the selected row again; `verdicts` is what the smoke tests last said about a resource."""
        self._pane = pane
        self._backend = backend
        self._store = store
        self._board = board
        self._describe_group = describe_group
        self._verdicts = verdicts
        self._redraw = redraw
        self._paths = paths
        self._resource: Resource | None = None
        self.tab = OVERVIEW
        self._key = ""
        self._run: object = None  # of the container, in which what was read holds
        self._data: Any = None
        self._problem: list[Part] = []
        self._read_at = 0.0
        self._reading = False
        self._revealed_until = 0.0
        self._probes = probes.Probes()
        self._checks: deque[HealthCheck] = deque(maxlen=CHECKS_KEPT)

    def step(self, by: int) -> None:
        """Open the next tab, or the one before."""
        self.tab = TABS[(TABS.index(self.tab) + by) % len(TABS)]
        self._forget()
        self._pane.scroll.scroll_to(y=0, animate=False)
        self._redraw()

    def _forget(self) -> None:
        self._data, self._problem, self._read_at, self._reading = None, [], 0.0, False
        self._revealed_until = 0.0

    def tell(self, row: Row, *, fresh: bool) -> None:
        """Show the row; one that stands for several resources has no tabs."""
        self._resource = resource = self._store.resource(row.key) if row.group is None else None
        if resource is None:
            described = self._describe_group(row.group) if row.group is not None else None
            self._probes.aim("")
            self._pane.tell_tabs([], "")
            if described is not None:
                self._pane.tell(row.title, *described, fresh=fresh)
            return
        run = (resource.key, resource.state, resource.started_at, resource.image)
        if run != self._run:
            if self._key != resource.key:
                self._checks.clear()
            self._key, self._run = resource.key, run
            self._forget()
        self._note_checks(resource.checks)
        offered = {"environment": "reveal", "ports": "browse"}.get(self.tab.name, "")
        self._pane.tell_tabs(tab_line(self.tab, self._pane.room), offered)
        self._show(row, resource, fresh=fresh)

    def _note_checks(self, checks: Sequence[HealthCheck]) -> None:
        newest = self._checks[-1].started_at if self._checks else 0.0
        self._checks.extend(check for check in checks if check.started_at > newest)

    def _show(self, row: Row, resource: Resource, *, fresh: bool) -> None:
        store, now = self._store, time.time()
        sample, samples = store.sample(row.key), self._board.history(row.key)
        cpu = [one.cpu for one in samples if one.cpu is not None]
        line, happenings = use(resource, sample, cpu, now), store.happenings(row.key)
        subject = self.tab.of_cluster if resource.runtime is Runtime.KUBERNETES else self.tab.reads
        self._probes.aim(self._probed(resource) if self.tab.name == "health" else "")
        if self.tab is OVERVIEW:
            owner = store.resource(resource.owner) if resource.owner else None
            text = describe(resource, owner, happenings, sample, now) + self._verdicts(resource)
            self._pane.tell(row.title, line, text, fresh=fresh)
            return
        waiting = self._wait_for(resource, subject) if subject is not None else []
        if self.tab is INSPECT and not waiting:
            self._pane.use.say(*line)
            self._pane.title.say((" DETAIL ", "bold"), (safe(row.title), "bold $primary"))
            self._pane.show_tree(self._data)
            return
        about = Subjects(
            resource,
            happenings,
            samples,
            now,
            self._pane.room,
            self._data,
            time.monotonic() < self._revealed_until,
            tuple(self._checks),
            tuple(self._probes.answers),
            self._probes.url,
            self._backend.address,
        )
        shown = waiting or (self.tab.show(about) if self.tab.show is not None else [])
        self._pane.tell(row.title, line, shown, fresh=fresh)
        if self.tab.name == "health" and self._probes.due(now):
            self._probe()

    # What is read

    def _wait_for(self, resource: Resource, subject: Subject) -> list[Part]:
        """Return what stands in the place of what is not read yet; have it read."""
        if resource.state in (State.ABSENT, State.PROVIDED):
            return [("Nothing was created yet.\n", "$quiet")]
        old = self.tab.name == "processes" and time.monotonic() - self._read_at > READ_AGAIN
        if not self._reading and ((self._data is None and not self._problem) or old):
            self._reading = True
            work = partial(self._read, self.tab, self._run, resource, subject)
            self._pane.run_worker(work, thread=True, exclusive=True, group="look")
        if self._problem:
            return self._problem
        more = "; the engine adds up what is in its volumes" if self.tab.name == "mounts" else ""
        return [(f"reading…{more}\n", "$quiet")] if self._data is None else []

    def _read(self, tab: Tab, run: object, resource: Resource, subject: Subject) -> None:
        from devenv.control.kube.apply import masked  # when somebody looks

        data: Any = None
        problem: list[Part] = []
        try:
            data = self._backend.look(resource, subject)
            if subject == "inspect":
                data = masked(data)
        except DevenvError as error:
            problem = [(f"✗ {safe(error.message)}\n", "$error")]
            problem += [(f"→ {safe(error.hint)}\n", "$quiet")] if error.hint else []
        self._pane.app.call_from_thread(self._take, tab, run, data, problem)

    def _take(self, tab: Tab, run: object, data: Any, problem: list[Part]) -> None:
        if tab is not self.tab or run != self._run:
            return  # it was read for what is not shown any more
        self._data, self._problem = data, problem
        self._reading, self._read_at = False, time.monotonic()
        self._redraw()

    # Probes, the browser, and what is masked

    def _probed(self, resource: Resource) -> str:
        urls = [url for port in resource.ports if (url := url_of(port, self._backend.address))]
        if not urls or resource.state is not State.RUNNING:
            return ""
        return urls[0] + self._paths().get(resource.service, "/").lstrip("/")

    def _probe(self) -> None:
        self._probes.asking = True
        url = self._probes.url

        def work() -> None:
            answer = probes.ask(url)
            self._pane.app.call_from_thread(self._answered, url, answer)

        self._pane.run_worker(work, thread=True, group="probe")

    def _answered(self, url: str, answer: probes.Answer) -> None:
        self._probes.take(url, answer)
        self._redraw()

    def reveal(self) -> None:
        """Show the values of the environment for a moment."""
        if self.tab.name == "environment":
            self._revealed_until = time.monotonic() + REVEALED
            self._pane.set_timer(REVEALED + 0.05, self._redraw)
            self._redraw()

    def browse(self, resource: Resource | None) -> None:
        """Open a published port of a resource in the browser; of several, the user chooses."""
        from devenv.tui.dialogs import PickerScreen

        ports = resource.ports if resource is not None else ()
        urls = [url for port in ports if (url := url_of(port, self._backend.address))]
        if len(urls) == 1:
            self._pane.app.open_url(urls[0])
        elif urls:
            choices = [(url, url, "") for url in urls]
            self._pane.app.push_screen(
                PickerScreen("a port to open", choices, urls[0]),
                lambda url: self._pane.app.open_url(url) if url else None,
            )
        else:
            self._pane.notify("No port of it is published on this machine.", title="ports", severity="warning")
