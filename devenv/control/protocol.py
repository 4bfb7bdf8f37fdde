"""What the terminal and the commands may ask of whatever changes a runtime; of none, and of several at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal, Protocol

from msgspec import Struct
from msgspec.structs import replace

from devenv.core.errors import Refused
from devenv.core.model import Action, Change, Progress, Project, Resource


class Plan(Struct, frozen=True):
    """The guard's answer to a request: whether it may be done, and what it will hit. Nothing was done yet.

    `sentences` is the blast radius in a person's words. `losses` names what cannot be had back (volumes). A plan that
    `needs_confirmation` is to be shown before it is requested; `typed` is what the user must type to confirm it, ""
    where a yes will do. `reason` and `hint` say why a refused one was refused.
    """

    verb: str
    targets: tuple[str, ...] = ()  # services; empty means the whole project
    volumes: bool = False
    allowed: bool = True
    needs_confirmation: bool = False
    typed: str = ""
    sentences: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    reason: str = ""
    hint: str = ""
    # Only of a cluster. `cluster`: server and authority that the context led to; `cluster_uid`: the cluster's own uid.
    context: str = ""
    namespace: str = ""
    cluster: str = ""
    cluster_uid: str = ""
    options: tuple[tuple[str, str], ...] = ()  # what the verb needs beside targets: ("replicas", "3")
    command: str = ""  # what one would type for it; "" where the verb's own table knows

    def option(self, name: str, default: str = "") -> str:
        """Return one of the options."""
        return dict(self.options).get(name, default)


Options = Mapping[str, str] | None


class Place(Struct, frozen=True):
    """What the terminal can be opened on instead: a Compose project of the engine, or another docker context."""

    name: str
    remark: str = ""
    project: Project | None = None  # None: a docker context


PlaceKind = Literal["project", "docker context"]


class Control(Protocol):
    """Changes one runtime: each request runs in a named thread and tells its life as records.

    No method but `reach` blocks on the network. All others may be called from one thread only.
    """

    def start(self, wake: Callable[[], None]) -> None:
        """Begin to take requests. `wake` is called from a thread when an empty buffer gets its first record."""
        ...

    def stop(self) -> None:
        """Interrupt what runs and wait a short while (at most 2 s) for it."""
        ...

    def drain(self) -> list[Change]:
        """Take the Action and Progress records since the last call, in order."""
        ...

    def plan(self, verb: str, targets: tuple[str, ...] = (), *, volumes: bool = False, options: Options = None) -> Plan:
        """Return what the verb would do to these services (none: the whole project), and whether it is allowed."""
        ...

    def reach(self, plan: Plan) -> Plan:
        """Return the plan with exactly what it would take, as the runtime says now.

        Blocks on the network, for any thread; raises DevenvError.
        """
        ...

    def request(self, plan: Plan) -> Action:
        """Begin to carry a plan out; the caller has confirmed it.

        Raises Refused by policy, and while another change of the same targets runs.
        """
        ...

    def cancel(self, action_id: int) -> None:
        """Interrupt a running action, as ctrl-c does; unknown and ended ones are left alone."""
        ...


class ProjectControl(Control, Protocol):
    """Changes a Compose project: what beyond `Control` the terminal asks of it. What blocks is called in a thread."""

    def shell(self, resource: Resource) -> tuple[Plan, list[str]]:
        """Return the plan of a shell in a container, and its command line.

        Blocks; raises DevenvError that says why where there is none.
        """
        ...

    def one_off(self, service: str, words: list[str]) -> tuple[Plan, list[str]]:
        """Return the plan of a command in a new container of the service, and its command line."""
        ...

    def hand_over(self, plan: Plan, line: list[str]) -> int:
        """Let the guard pass the plan, run the command in this terminal and return its exit code; raises Refused."""
        ...

    def profiles(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return all profiles and the active ones; blocks, raises ProjectError and ToolMissing."""
        ...

    def choose_profiles(self, names: tuple[str, ...]) -> None:
        """Let these be active from now on."""
        ...

    def places(self, kind: PlaceKind) -> tuple[Place, ...]:
        """Return where the terminal can go; blocks, raises DevenvError."""
        ...

    def go_to(self, place: Place) -> None:
        """Let the terminal be opened there once it has ended here."""
        ...


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

    def plan(self, verb: str, targets: tuple[str, ...] = (), *, volumes: bool = False, options: Options = None) -> Plan:
        """Refuse it."""
        return Plan(verb, targets, volumes, allowed=False, reason=self._reason, hint=self._hint)

    def reach(self, plan: Plan) -> Plan:
        """Return it as it is: it takes nothing."""
        return plan

    def request(self, plan: Plan) -> Action:
        """Raise Refused."""
        raise Refused(self._reason, self._hint)

    def cancel(self, action_id: int) -> None:
        """Do nothing: there are no actions."""

    def shell(self, resource: Resource) -> tuple[Plan, list[str]]:
        """Refuse it."""
        return self.plan("exec"), []

    def one_off(self, service: str, words: list[str]) -> tuple[Plan, list[str]]:
        """Refuse it."""
        return self.plan("run"), []

    def hand_over(self, plan: Plan, line: list[str]) -> int:
        """Raise Refused."""
        raise Refused(self._reason, self._hint)

    def profiles(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return none."""
        return (), ()

    def choose_profiles(self, names: tuple[str, ...]) -> None:
        """Do nothing."""

    def places(self, kind: PlaceKind) -> tuple[Place, ...]:
        """Return none."""
        return ()

    def go_to(self, place: Place) -> None:
        """Do nothing: there are no places."""


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
            _numbered_apart(index, change) for index, control in enumerate(self._controls) for change in control.drain()
        ]

    def plan(self, verb: str, targets: tuple[str, ...] = (), *, volumes: bool = False, options: Options = None) -> Plan:
        """Ask the control of these targets."""
        return self._controls[self._index(targets)].plan(verb, targets, volumes=volumes, options=options)

    def reach(self, plan: Plan) -> Plan:
        """Ask the control of the plan's targets."""
        return self._controls[self._index(plan.targets)].reach(plan)

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


def _numbered_apart(index: int, change: Change) -> Change:
    match change:
        case Action():
            return replace(change, id=_apart(index, change.id))
        case Progress():
            return replace(change, action=_apart(index, change.action))
    return change


def _apart(index: int, number: int) -> int:
    return index * _APART + number
