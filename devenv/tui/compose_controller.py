"""The main screen's controller for a Compose project: what its rows show, and what the keys do to its services."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from textual.widget import Widget

from devenv.control.protocol import Place, PlaceKind, Plan, ProjectControl
from devenv.control.verbs import SIGNALS
from devenv.core.errors import DevenvError
from devenv.core.model import ConnectionState, Resource, Runtime, State
from devenv.core.state import Delta
from devenv.tui.action_table import UserAction, makes_sense
from devenv.tui.dispatch import Handlers
from devenv.tui.main_screen import MainScreen
from devenv.tui.table.lines import GroupKey, Row

if TYPE_CHECKING:
    from devenv.tui.command_line import Places
    from devenv.tui.dialogs import Command

# Actions on services: the verb of Compose for each, and its options.
OF_SERVICE: Final = {
    **{verb: (verb, {}) for verb in ("restart", "start", "stop", "up", "build", "recreate", "pull")},
    "delete": ("rm", {}),
    "up_alone": ("up", {"no_deps": "yes"}),
    "stop_dependents": ("stop", {"dependents": "yes"}),
}
NAMES_KEPT: Final = 10.0  # seconds that projects and contexts are completed as they were read
_MEANING: Final = {"KILL": "ends it at once", "TERM": "asks it to end", "HUP": "by convention: read the settings again"}


class ComposeController:
    """`devenv.tui.dispatch.Controller` of one project."""

    bars: Sequence[Widget] = ()
    typed_here = "restart SERVICE, up, stop SERVICE, up-all, down, any act · help · q"

    def __init__(self, screen: MainScreen, control: ProjectControl) -> None:
        self._screen = screen
        self._control = control
        ask = screen.changes.ask
        screen.changes.begun = screen.table.unmark
        special: dict[str, Callable[[Sequence[Resource]], None]] = {
            "pause": self._pause,
            "scale": self._scale,
            "kill": self._kill,
            "shell": self._shell,
            "run": self._run,
        }
        self.acts = special | {name: partial(self._ask, name) for name in OF_SERVICE}
        self.handlers: Handlers = {
            **{name: partial(self.change, name) for name in self.acts},
            **{f"{verb}_all": partial(ask, verb) for verb in ("up", "restart", "stop", "build")},
            "down": partial(ask, "down"),
            "down_all": partial(ask, "down", options={"all": "yes"}),
            "down_volumes": partial(ask, "down", volumes=True),
            "prune": self._prune,
            "prune_volumes": partial(self._prune, volumes=True),
            "profiles": self._choose_profiles,
            "project": partial(self._go, "project"),
            "docker_context": partial(self._go, "docker context"),
        }
        self._places: dict[PlaceKind, tuple[float, tuple[str, ...]]] = {}  # when they were asked for, and their names
        self.arguments: Mapping[str, Callable[[], Sequence[str]]] = {
            "project": partial(self._names, "project"),
            "docker_context": partial(self._names, "docker context"),
        }

    async def begin(self) -> None:
        """There is nothing more to bring."""

    def close(self) -> None:
        """There is nothing that would outlive the screen."""

    # What the keys do

    def change(self, name: str) -> None:
        """Change the marked services, else the selected one."""
        resources = self.meant(name)
        if resources:
            self.acts[name](resources)

    def meant(self, name: str) -> list[Resource]:
        """Return the containers that an action is for: the marked ones, else the selected; where it does something."""
        selected = self._screen.selected
        known = self._screen.marked or ([selected] if selected is not None else [])
        return [one for one in known if one.runtime is Runtime.COMPOSE and one.service and makes_sense(name, one)]

    def _ask(self, name: str, resources: Sequence[Resource]) -> None:
        verb, options = OF_SERVICE[name]
        self._screen.changes.ask(verb, _services(resources), options=options)

    def _pause(self, resources: Sequence[Resource]) -> None:
        """Pause what runs; where all is paused, let it go on."""
        running = [one for one in resources if one.state is State.RUNNING]
        self._screen.changes.ask("pause" if running else "unpause", _services(running or resources))

    def _scale(self, resources: Sequence[Resource]) -> None:
        from devenv.tui.dialogs import AskScreen

        services = _services(resources)
        now = max(one.number for one in self._screen.board.compose.values() if one.service in services)

        def scale(text: str | None) -> None:
            if text:
                self._screen.changes.ask("scale", services, options={"replicas": text})

        what = f"How many containers shall {', '.join(services)} have?"
        self._screen.app.push_screen(AskScreen(what, str(now), replicas_problem), scale)

    def _kill(self, resources: Sequence[Resource]) -> None:
        from devenv.tui.dialogs import PickerScreen

        services = _services(resources)

        def kill(signal: str | None) -> None:
            if signal:
                self._screen.changes.ask("kill", services, options={"signal": signal})

        offered = [(name, f"SIG{name}", _MEANING.get(name, "")) for name in SIGNALS]
        self._screen.app.push_screen(PickerScreen(f"signal for {', '.join(services)}", offered, ""), kill)

    def _shell(self, resources: Sequence[Resource]) -> None:
        self._leave("shell", lambda: self._control.shell(resources[0]))

    def _run(self, resources: Sequence[Resource]) -> None:
        from devenv.tui.dialogs import AskScreen

        service = resources[0].service

        def run(text: str | None) -> None:
            if text is not None:
                self._leave("run", lambda: self._control.one_off(service, shlex.split(text)))

        what = f"Run which command in a new container of {service}? (nothing: its own)"
        self._screen.app.push_screen(AskScreen(what, "", _words_problem), run)

    def _leave(self, verb: str, find: Callable[[], tuple[Plan, list[str]]]) -> None:
        """Give the terminal to a command; which one, is found out in a thread."""
        screen = self._screen

        def work() -> None:
            try:
                plan, line = find()
            except DevenvError as error:
                screen.app.call_from_thread(screen.changes.impossible, verb, error)
            else:
                screen.app.call_from_thread(screen.changes.leave_to, plan, line, self._control.hand_over)

        screen.run_worker(work, thread=True, group="plan", exclusive=True)

    def _prune(self, *, volumes: bool = False) -> None:
        """Find out in a thread what is left over; what the question names is what goes, and nothing else."""
        screen = self._screen
        plan = self._control.plan("prune", volumes=volumes)

        def offer(reached: Plan) -> None:
            if reached.allowed and not reached.options:
                screen.changes.warn(" ".join(reached.sentences), "prune")
            else:
                screen.changes.offer(reached)

        def work() -> None:
            try:
                reached = self._control.reach(plan) if plan.allowed else plan
            except DevenvError as error:
                screen.app.call_from_thread(screen.changes.impossible, "prune", error)
            else:
                screen.app.call_from_thread(offer, reached)

        screen.run_worker(work, thread=True, group="plan", exclusive=True)

    def _go(self, kind: PlaceKind, name: str = "") -> None:
        """Open the terminal on another project or engine: the one of that name, else one that is chosen."""
        screen = self._screen

        def go(place: Place) -> None:
            if screen.changes.may_go():
                self._control.go_to(place)
                screen.app.exit(0)

        def offer(places: Sequence[Place]) -> None:
            from devenv.tui.dialogs import PickerScreen

            by_name = {place.name: place for place in places}
            if not places or (name and name not in by_name):
                known = f" There are: {', '.join(by_name)}" if places else ""
                screen.changes.warn(f"There is no {' '.join(filter(None, (kind, name)))}.{known}", kind)
            elif name:
                go(by_name[name])
            else:
                offered = [(place.name, place.name, place.remark) for place in places]
                shown = (one.project for one in screen.board.compose.values() if kind == "project" and one.project)
                picker = PickerScreen(kind, offered, next(shown, ""))
                screen.app.push_screen(picker, lambda chosen: go(by_name[chosen]) if chosen else None)

        def work() -> None:
            try:
                places = self._control.places(kind)
            except DevenvError as error:
                screen.app.call_from_thread(screen.changes.impossible, kind, error)
            else:
                screen.app.call_from_thread(offer, places)

        screen.run_worker(work, thread=True, group="plan", exclusive=True)

    def _names(self, kind: PlaceKind) -> Sequence[str]:
        """Return the places that can be typed, as they were last; they are read in a thread, and told then."""
        at, names = self._places.get(kind, (0.0, ()))
        if time.monotonic() < at + NAMES_KEPT:
            return names
        self._places[kind] = (time.monotonic(), names)
        screen = self._screen

        def know(read: tuple[str, ...]) -> None:
            self._places[kind] = (time.monotonic(), read)
            if screen.command_line is not None:
                screen.command_line.tell()

        def work() -> None:
            try:
                read = tuple(place.name for place in self._control.places(kind))
            except DevenvError:
                read = ()  # who types on and enters it is told why
            screen.app.call_from_thread(know, read)

        screen.run_worker(work, thread=True, group="places")
        return names

    def _choose_profiles(self) -> None:
        """Offer the profiles of the project; the chosen one is switched."""
        screen = self._screen

        def offer(known: Sequence[str], active: Sequence[str]) -> None:
            from devenv.tui.dialogs import PickerScreen

            if not known:
                screen.changes.warn("No service of this project has a profile.", "profiles")
                return

            def switch(name: str | None) -> None:
                if name:
                    on = {*active} ^ {name}
                    self._control.choose_profiles(tuple(one for one in known if one in on))

            offered = [(name, name, "active: leaves it" if name in active else "activates it") for name in known]
            screen.app.push_screen(PickerScreen("profile", offered, next(iter(active), "")), switch)

        def work() -> None:
            try:
                known, active = self._control.profiles()
            except DevenvError as error:
                screen.app.call_from_thread(screen.changes.impossible, "profiles", error)
            else:
                screen.app.call_from_thread(offer, known, active)

        screen.run_worker(work, thread=True, group="plan", exclusive=True)

    # What is offered, and shown

    def offers(self, action: UserAction) -> bool:
        """Whether an action makes sense for the selection now."""
        if action.name in self.acts:
            return bool(self.meant(action.name))
        return action.name != "drop"

    def offers_depend_on(self) -> object:
        """Return what `offers` looks at."""
        known = self._screen.marked or ([resource] if (resource := self._screen.selected) else [])
        return [(one.service, one.state) for one in known]

    def commands(self) -> Iterator[Command]:
        """Everything is in the table of actions."""
        return iter(())

    def places(self) -> Places:
        """There is no cluster."""
        from devenv.tui.command_line import NO_CLUSTER

        return NO_CLUSTER

    def obey_other(self, word: str, argument: str) -> None:
        """Tell that there is no such word."""
        self._screen.changes.warn("No such command; tab completes what is begun, and ctrl+p lists all.", f":{word}")

    def tell(self, delta: Delta | None, now: float) -> None:
        """There is nothing of its own to show."""

    def empty_text(self, row: Row | None) -> str:
        """Return what an empty table says, or the empty log of that row."""
        if row is not None:
            return "nothing was created yet, so there is no log" if row.absent else "no output yet"
        connection = self._screen.store.connection(self._screen.backend_name)
        if connection is None or connection.state is ConnectionState.CONNECTING:
            return "connecting…"
        if connection.state is ConnectionState.LIVE:
            return "nothing is declared or running here"
        return "nothing to show until the connection is back"

    def cluster_place(self) -> None:
        """There is no cluster."""

    def describe(self, group: GroupKey) -> None:
        """There is no service in both runtimes."""


def _services(resources: Sequence[Resource]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.service for one in resources))


def replicas_problem(text: str) -> str:
    """Say what is wrong with a number of replicas, "" where nothing is."""
    return "" if text.isdigit() and len(text) < 6 else "a whole number, 0 or more"


def _words_problem(text: str) -> str:
    try:
        shlex.split(text)
    except ValueError as error:
        return f"not a command line: {error}"
    return ""
