"""Several controls behind the one protocol: a change goes to the control whose targets it names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from devenv.control.protocol import Control, Plan
from devenv.core.model import Action, Change

# Each control counts its actions from 1; the store knows them all by one number.
_APART: Final = 1_000_000


class JoinedControl:
    """Starts with that of the Compose project; that of a cluster may join it, and be replaced by another cluster's."""

    def __init__(self, first: Control, *, wake: Callable[[], None] | None = None) -> None:
        """Join to `first`. `wake` is given where `first` was started already, with that function."""
        self._controls: list[Control] = [first]
        self._wake = wake

    def put(self, control: Control) -> None:
        """Give the targets of clusters to a control; one that had them before is stopped."""
        for before in self._controls[1:]:
            if before is control:
                return
            before.stop()
        self._controls[1:] = [control]
        if self._wake is not None:
            control.start(self._wake)

    def start(self, wake: Callable[[], None]) -> None:
        """Start all."""
        self._wake = wake
        for control in self._controls:
            control.start(wake)

    def stop(self) -> None:
        """Stop all, the last one first."""
        self._wake = None
        for control in reversed(self._controls):
            control.stop()

    def drain(self) -> list[Change]:
        """Take the records of all, with numbers of actions that are apart."""
        return [
            replace(change, id=_apart(index, change.id)) if isinstance(change, Action) else change
            for index, control in enumerate(self._controls)
            for change in control.drain()
        ]

    def plan(self, verb: str, targets: tuple[str, ...] = (), *, volumes: bool = False) -> Plan:
        """Ask the control of these targets."""
        return self._controls[self._index(targets)].plan(verb, targets, volumes=volumes)

    def request(self, plan: Plan) -> Action:
        """Let the control of the plan's targets carry it out."""
        index = self._index(plan.targets)
        action = self._controls[index].request(plan)
        return replace(action, id=_apart(index, action.id))

    def cancel(self, action_id: int) -> None:
        """Interrupt an action of whichever control."""
        index, own = divmod(action_id, _APART)
        if index < len(self._controls):
            self._controls[index].cancel(own)

    def _index(self, targets: tuple[str, ...]) -> int:
        # A target in a cluster is KIND/NAMESPACE/NAME; the name of a Compose service has no slash.
        return int(len(self._controls) > 1 and bool(targets) and all("/" in target for target in targets))


def _apart(index: int, number: int) -> int:
    return index * _APART + number
