"""From a key, a word or the palette to the handler of an action: what is offered now, and who does it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from textual.widget import Widget

from devenv.core.model import Resource, Runtime
from devenv.core.state import Delta
from devenv.tui.action_table import ACTIONS, BY_NAME, BY_WORD, IN_VIEW, SERVICE, UserAction
from devenv.tui.safe_text import Part, safe
from devenv.tui.table.lines import GroupKey, Row
from devenv.tui.widgets.resource_table import ResourceTable

if TYPE_CHECKING:
    from devenv.backends.kube.kubeconfig import Target
    from devenv.tui.command_line import Places
    from devenv.tui.dialogs import Command

Own = tuple[UserAction, Callable[[], None], Callable[[], bool]]  # an action, its handler, and whether it makes sense
Handlers = Mapping[str, Callable[..., object]]  # by the names of `devenv.tui.action_table`


class Controller(Protocol):
    """What the main screen shows and does, for one runtime or for two."""

    handlers: Handlers  # an action that has none is not offered; those of the screen's own actions are replaced

    arguments: Mapping[str, Callable[[], Sequence[str]]]  # what can follow the word of one, by its name

    @property
    def bars(self) -> Sequence[Widget]:
        """What stands below the header, and below the banner."""
        ...

    async def begin(self) -> None:
        """Bring what the first frame could do without."""
        ...

    def close(self) -> None:
        """End what would outlive the screen."""
        ...

    def offers(self, action: UserAction) -> bool:
        """Whether an action makes sense for the selection now."""
        ...

    def offers_depend_on(self) -> object:
        """Return what `offers` looks at: while it is the same, nothing else is offered."""
        ...

    def commands(self) -> Iterator[Command]:
        """Give the palette what is not in the table of actions."""
        ...

    @property
    def typed_here(self) -> str:
        """Return what stands in the empty command line."""
        ...

    def places(self) -> Places:
        """Return what of a cluster can be typed."""
        ...

    def obey_other(self, word: str, argument: str) -> None:
        """Do what was typed where its word is no action's."""
        ...

    def tell(self, delta: Delta | None, now: float) -> None:
        """Show what is the controller's own: after a change, or (None) because time went on."""
        ...

    def empty_text(self, row: Row | None) -> str:
        """Return what an empty table says, or the empty log of that row."""
        ...

    def cluster_place(self) -> tuple[Target, bool] | None:
        """Return the cluster and namespace that are shown, and whether the selection is there alone."""
        ...

    def describe(self, group: GroupKey) -> tuple[list[Part], list[Part]] | None:
        """Return the use and the text of a service that several resources make; None where there is nothing to say."""
        ...


class Dispatcher:
    """The actions of one screen: its own handlers and those of its controller."""

    def __init__(
        self,
        controller: Controller,
        handlers: dict[str, Callable[..., object]],
        conditions: dict[str, Callable[[], bool]],
        table: ResourceTable,
        warn: Callable[[str, str], None],
        *,
        in_cluster: bool,
    ) -> None:
        """`conditions` say by an action's name whether it makes sense now; without one, the controller says it."""
        self._controller = controller
        self._handlers = handlers
        self._conditions = conditions
        self._table = table
        self._warn = warn
        self._in_cluster = in_cluster
        self.own: dict[str, UserAction] = {}  # the user's own commands
        self.arguments: dict[str, Callable[[], Sequence[str]]] = {}  # what can follow an action's word, by its name

    def choose_own(self, own: Iterable[Own]) -> None:
        """Offer these commands of the user's own, instead of those before."""
        for name in self.own:
            del self._handlers[name], self._conditions[name]
        self.own.clear()
        for action, handler, condition in own:
            self.own[action.name], self._handlers[action.name] = action, handler
            self._conditions[action.name] = condition

    def offers(self, action: UserAction) -> bool:
        """Whether the action makes sense now."""
        if action.name not in self._handlers:
            return False
        condition = self._conditions.get(action.name)
        return condition() if condition is not None else self._controller.offers(action)

    def check(self, action: str, parameters: tuple[object, ...]) -> bool:
        """Whether a key's action makes sense now; one that is not in the table does."""
        if action != "do":
            return True
        name = str(parameters[0])
        return name in self._handlers and self.offers(self.own.get(name) or BY_NAME[name])

    def do(self, name: str) -> None:
        """Do what the table of actions calls by that name."""
        self._handlers[name]()

    def commands(self, selected: Resource | None) -> Iterator[Command]:
        """Give the palette what makes sense now: for the selection, for the project, for the view."""
        yield from self._controller.commands()
        for action in self.own.values():
            if self.offers(action):
                service = safe(selected.service) if selected is not None else ""
                yield action.palette.format(service=service), action.meaning, self._handlers[action.name]
        for action in sorted(ACTIONS, key=lambda action: (SERVICE not in action.palette, action.group == IN_VIEW)):
            run = self._handlers.get(action.name)
            if run is None or not action.palette:
                continue
            if SERVICE not in action.palette:
                if self.offers(action):
                    yield action.palette, action.meaning or action.binding(in_cluster=self._in_cluster).tooltip, run
            elif selected is not None and selected.runtime is Runtime.COMPOSE and selected.service:
                yield action.palette.format(service=safe(selected.service)), action.meaning, run

    # The command line

    def candidates(self, text: str) -> tuple[str, ...]:
        """Return whole lines that begin as the text does."""
        from devenv.tui.command_line import candidates

        services = dict.fromkeys(row.service for row in self._table.rows)
        own, places = self.own.values(), self._controller.places()
        return candidates(text, self._handlers, services, places, own, {**self._controller.arguments, **self.arguments})

    def obey(self, text: str) -> None:
        """Do what was typed: an action by its word, of a service that may be named; else what the controller knows."""
        from devenv.tui.command_line import parse

        command = parse(text)
        own = (one for one in self.own.values() if command.word in one.words)
        action = BY_WORD.get(command.word) or next(own, None)
        if action is None or action.name not in self._handlers:
            self._controller.obey_other(command.word, command.argument)
        elif action.argument:
            self._handlers[action.name](command.argument)
        elif not command.argument or (action.of_service and self._go_to(command.argument)):
            if self.offers(action):
                self._handlers[action.name]()
            else:
                self._warn("That does nothing here now.", f":{text.strip().removeprefix(':')}")
        else:
            what = "no service of that name is shown" if action.of_service else "nothing follows this word"
            self._warn(f"{command.argument}: {what}", f":{command.word}")

    def _go_to(self, service: str) -> bool:
        """Put the cursor on the first line of a service; return whether there is one."""
        index = next((index for index, row in enumerate(self._table.rows) if row.service == service), None)
        if index is not None:
            self._table.unmark()  # the act is for the one that was named
            self._table.select(index)
        return index is not None
