"""The user's own commands of devenv.toml in the terminal: offered where they fit, asked for their inputs, and run."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from devenv.control.commands import CommandControl, fits, key_of, line_of, values_of
from devenv.control.protocol import Plan
from devenv.core.command_settings import CommandSettings
from devenv.core.model import Resource
from devenv.tui.action_table import SERVICE, UserAction
from devenv.tui.dispatch import Own

if TYPE_CHECKING:
    from devenv.tui.main_screen import MainScreen


Chosen = tuple[str, dict[str, str]]  # a line's name, and what the placeholders stand for on it


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

    def _values(self, resource: Resource | None) -> dict[str, str]:
        known = self._screen.board.compose.values()
        return values_of(resource, next((one.project for one in known if one.project), self._screen.project_hint))

    def _chosen(self, command: CommandSettings) -> list[Chosen]:
        """Return the lines that it fits, of the marked ones, else of the selected one."""
        known: Sequence[Resource | None] = self._screen.marked or [self._screen.selected]
        lines = [((one.service or one.name) if one is not None else "", self._values(one)) for one in known]
        return [(target, values) for target, values in lines if fits(command, values)]

    def _fits(self, command: CommandSettings) -> bool:
        return bool(self._chosen(command))

    def _run(self, name: str) -> None:
        command = self._commands[name]
        self._ask(name, self._chosen(command), list(command.inputs))

    def _ask(self, name: str, chosen: list[Chosen], missing: list[str]) -> None:
        """Ask for one input after the other, then run it for the lines that were chosen when it was asked for."""
        if not missing:
            self._begin(name, chosen)
            return
        from devenv.tui.dialogs import AskScreen

        def answered(text: str | None) -> None:
            if text is not None:
                given = [(target, values | {missing[0]: text}) for target, values in chosen]
                self._ask(name, given, missing[1:])

        question = f"{name} {_named(chosen)}".strip() + f": {missing[0]}?"
        self._screen.app.push_screen(AskScreen(question, "", lambda text: "" if text else "it is needed"), answered)

    def _begin(self, name: str, chosen: list[Chosen]) -> None:
        command, changes = self._commands[name], self._screen.changes
        plans = [self._control.plan(name, command, values, target) for target, values in chosen]

        def run(_: Plan) -> None:
            if command.output == "log":
                about = f"of {name} {_named(chosen)}".rstrip()
                self._screen.following.show_output(key_of(name), about, time.time())
            for plan, (_target, values) in zip(plans, chosen, strict=True):
                if command.output == "terminal":
                    hand_over = partial(self._control.hand_over, values=values)
                    changes.leave_to(plan, line_of(command, values), hand_over)
                else:
                    self._control.request(plan, command, values)

        whole = next((plan for plan in plans if not plan.allowed), None) or replace(
            plans[0],
            targets=tuple(dict.fromkeys(target for plan in plans for target in plan.targets)),
            sentences=tuple(dict.fromkeys(sentence for plan in plans for sentence in plan.sentences)),
        )
        changes.offer(whole, request=run)


def _named(chosen: list[Chosen]) -> str:
    return ", ".join(dict.fromkeys(target for target, _ in chosen if target))
