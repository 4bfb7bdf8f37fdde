"""The user's own commands of devenv.toml in the terminal: offered where they fit, asked for their inputs, and run."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

from devenv.control.commands import CommandControl, fits, key_of, line_of, values_of
from devenv.control.protocol import Plan
from devenv.core.command_settings import CommandSettings
from devenv.core.model import Resource
from devenv.tui.action_table import SERVICE, UserAction
from devenv.tui.dispatch import Own

if TYPE_CHECKING:
    from devenv.tui.main_screen import MainScreen


class OwnCommands:
    """Those of one main screen."""

    def __init__(self, screen: MainScreen, control: CommandControl, commands: Mapping[str, CommandSettings]) -> None:
        self._screen = screen
        self._control = control
        self._commands = commands
        screen.changes.cancels["commands"] = control.cancel

    def actions(self) -> Iterator[Own]:
        """Yield each as an action."""
        for name, command in self._commands.items():
            action = UserAction(
                name=f"commands.{name}",
                key=command.key,
                label=name,
                note=command.help,
                takes_away=command.confirm,
                palette=f"{name} {SERVICE}" if command.on in ("service", "container") else name,
                meaning=command.help,
                words=(name,),
            )
            yield action, partial(self._run, name), partial(self._fits, command)

    @property
    def _selected(self) -> Resource | None:
        return self._screen.selected

    def _values(self) -> dict[str, str]:
        known = self._screen.board.compose.values()
        return values_of(self._selected, next((one.project for one in known if one.project), self._screen.project_hint))

    def _fits(self, command: CommandSettings) -> bool:
        return fits(command, self._values())

    def _run(self, name: str) -> None:
        resource = self._selected
        target = (resource.service or resource.name) if resource is not None else ""
        self._ask(name, target, self._values(), list(self._commands[name].inputs))

    def _ask(self, name: str, target: str, values: dict[str, str], missing: list[str]) -> None:
        """Ask for one input after the other, then run it for the line that was selected when it was asked for."""
        if not missing:
            self._begin(name, target, values)
            return
        from devenv.tui.dialogs import AskScreen

        def answered(text: str | None) -> None:
            if text is not None:
                self._ask(name, target, values | {missing[0]: text}, missing[1:])

        question = f"{name} {target}".strip() + f": {missing[0]}?"
        self._screen.app.push_screen(AskScreen(question, "", lambda text: "" if text else "it is needed"), answered)

    def _begin(self, name: str, target: str, values: dict[str, str]) -> None:
        command, changes = self._commands[name], self._screen.changes

        def run(plan: Plan) -> None:
            if command.output == "terminal":
                hand_over = partial(self._control.hand_over, values=values)
                changes.leave_to(plan, line_of(command, values), hand_over)
                return
            if command.output == "log":
                self._screen.following.show_output(key_of(name), f"of {name} {target}".rstrip(), time.time())
            self._control.request(plan, command, values)

        changes.offer(self._control.plan(name, command, values, target), request=run)
