"""The control of a runtime that is not in use: it refuses everything, with the reason."""

from __future__ import annotations

from collections.abc import Callable

from devenv.control.protocol import Plan
from devenv.core.errors import Refused
from devenv.core.model import Action, Change


class NoControl:
    """`Control` that changes nothing."""

    def __init__(self, reason: str, hint: str) -> None:
        self._reason = reason
        self._hint = hint

    def start(self, wake: Callable[[], None]) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""

    def drain(self) -> list[Change]:
        """Return nothing."""
        return []

    def plan(self, verb: str, targets: tuple[str, ...] = (), *, volumes: bool = False) -> Plan:
        """Refuse it."""
        return Plan(verb, targets, volumes, allowed=False, reason=self._reason, hint=self._hint)

    def request(self, plan: Plan) -> Action:
        """Raise Refused."""
        raise Refused(self._reason, self._hint)

    def cancel(self, action_id: int) -> None:
        """Do nothing: there are no actions."""
