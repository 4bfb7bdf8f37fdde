"""What the keys do to a cluster: in which runtime a change is meant, its plan in a thread, the offer, and the doing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from devenv.core.errors import DevenvError
from devenv.core.model import Port, Resource, Runtime, WorkloadFacts
from devenv.tui.action_table import ANY_KIND, BY_NAME, makes_sense
from devenv.tui.compose_controller import replicas_problem
from devenv.tui.kube.session import ClusterSession, Forwarding
from devenv.tui.main_screen import MainScreen
from devenv.tui.safe_text import safe
from devenv.tui.table.board import Board
from devenv.tui.table.cells import compose_words, state_cell

COMPOSE: Final = "compose"
KUBERNETES: Final = "kubernetes"
DONE_TO: Final = {"shell": "open a shell in"}  # where it is not the action's own name


@dataclass(frozen=True, slots=True)
class RuntimeChoice:
    """One of them: `name` is what the user chooses, `words` how the service is there."""

    name: str
    words: str
    resource: Resource

    @property
    def in_cluster(self) -> bool:
        """Whether it is that of the cluster."""
        return self.resource.runtime is Runtime.KUBERNETES


def choices(verb: str, compose: Iterable[Resource], cluster: Iterable[Resource]) -> list[RuntimeChoice]:
    """Return where the verb does something: Compose first, then each workload."""
    return [*_of_compose(verb, list(compose)), *_of_cluster(verb, cluster)]


def preferred(offered: Iterable[RuntimeChoice], last: str) -> str:
    """Return the choice to offer first: that of the runtime which was chosen last."""
    names = [choice.name for choice in offered]
    return next((name for name in names if name.startswith(last)), names[0])


def runtime_of(name: str) -> str:
    """Return the runtime of a choice by its name."""
    return name.partition(" ")[0]


def _of_compose(verb: str, compose: list[Resource]) -> Iterator[RuntimeChoice]:
    for resource in compose:
        if resource.service and makes_sense(verb, resource):
            yield RuntimeChoice(COMPOSE, compose_words(compose), resource)
            return  # Compose does it to all replicas


def _of_cluster(verb: str, cluster: Iterable[Resource]) -> Iterator[RuntimeChoice]:
    for resource in cluster:
        pods = resource.ready[1] if resource.ready is not None else 0
        fits = {"stop": pods > 0, "start": pods == 0}.get(verb, True)
        kinds = BY_NAME[verb].kinds
        if fits and (kinds is ANY_KIND or resource.kind in kinds):
            words = f"{state_cell(resource).text}  {resource.context}/{resource.namespace}"
            yield RuntimeChoice(f"{KUBERNETES} {resource.kind}/{resource.name}", words, resource)


DEBUG_IMAGE: Final = "busybox"
_SHELL: Final = "command -v bash >/dev/null && exec bash || exec sh"


class ClusterChanges:
    """Asks what has to be asked first; tells why where something is not possible."""

    def __init__(
        self,
        screen: MainScreen,
        board: Board,
        session: Callable[[], ClusterSession | None],
        in_compose: Mapping[str, Callable[[Sequence[Resource]], None]],
    ) -> None:
        """`session` returns the cluster that is shown; `in_compose` are the actions on containers."""
        self._in_compose = in_compose
        self._screen = screen
        self._board = board
        self._session = session
        self.forwards: list[Forwarding] = []
        self.handlers: dict[str, Callable[[Resource], None]] = {  # of actions for the selected object
            **{verb: partial(self.change, verb) for verb in ("undo", "evict", "drain")},
            "cordon": self.cordon,
            "debug": self.debug,
            "edit": self.edit,
            "forward": self.forward,
        }

    def change(self, verb: str, resource: Resource, argument: str = "") -> None:
        """Plan a change in a thread, since its reach is read from the cluster, and offer it."""
        session = self._session()
        if session is None:
            return

        def work() -> None:
            try:
                plan = session.plan(verb, resource, argument)
            except DevenvError as error:
                self._screen.app.call_from_thread(self._screen.changes.impossible, verb, error)
            else:
                self._screen.app.call_from_thread(self._screen.changes.offer, plan)

        self._screen.run_worker(work, thread=True, group="plan")

    def change_in(self, choice: RuntimeChoice, verb: str) -> None:
        """Do what a key means in that runtime: in a cluster, to stop is to scale to 0."""
        resource = choice.resource
        if not choice.in_cluster:
            self._in_compose[verb]((resource,))
        elif verb == "shell":
            self._outside("exec", resource, "exec", "-it", _place(resource), "--", "sh", "-c", _SHELL)
        elif verb == "stop":
            self.change("scale", resource, "0")
        elif verb in ("start", "scale"):
            self.scale(resource)
        elif verb == "pause":
            self.pause(resource)
        else:
            self.change(verb, resource)

    def scale(self, resource: Resource) -> None:
        """Ask for the number of pods, then scale; for one that has none, 1 is proposed."""
        from devenv.tui.dialogs import AskScreen

        now = str(resource.ready[1] or 1) if resource.ready is not None else ""
        if (session := self._session()) is not None and not session.may_change:
            self.change("scale", resource, now or "1")  # the refusal says why; nothing is asked for nothing
            return
        question = f"How many pods shall {resource.kind} {resource.name} have?"
        self._screen.app.push_screen(
            AskScreen(question, now, replicas_problem),
            lambda text: self.change("scale", resource, text) if text else None,
        )

    def pause(self, resource: Resource) -> None:
        """Pause the rollout; resume one that is paused."""
        about = resource.kind_facts
        self.change("resume" if isinstance(about, WorkloadFacts) and about.paused else "pause", resource)

    def cordon(self, node: Resource) -> None:
        """Cordon the node; uncordon one that is cordoned."""
        self.change("uncordon" if "SchedulingDisabled" in node.status else "cordon", node)

    def debug(self, resource: Resource) -> None:
        """Leave the screen to a shell in an ephemeral container of the pod, or in a pod on the node."""
        from devenv.tui.dialogs import AskScreen

        def begin(image: str | None) -> None:
            if image:
                what = resource.name if resource.kind == "pod" else f"node/{resource.name}"
                target = () if resource.kind == "pod" else ("--profile=sysadmin",)
                # Without a command it would be the image's own, which may be a server.
                self._outside("debug", resource, "debug", "-it", what, f"--image={image}", *target, "--", "sh")

        if (session := self._session()) is not None and not session.may_change:
            begin(DEBUG_IMAGE)
            return
        self._screen.app.push_screen(
            AskScreen(f"Which image shall the debug container beside {resource.name} have?", DEBUG_IMAGE, _word), begin
        )

    def edit(self, resource: Resource) -> None:
        """Leave the screen to $EDITOR; the API server validates, and kubectl opens the editor again on an error."""
        self._outside("edit", resource, "edit", f"{resource.kind}/{resource.name}")

    def _outside(self, verb: str, resource: Resource, *arguments: str) -> None:
        session = self._session()
        if session is None:
            return

        def work() -> None:
            try:
                plan = session.plan(verb, resource)
                command = session.kubectl(resource.namespace, *arguments)
            except DevenvError as error:
                self._screen.app.call_from_thread(self._screen.changes.impossible, verb, error)
            else:
                leave_to = self._screen.changes.leave_to
                self._screen.app.call_from_thread(leave_to, plan, command, session.hand_over)

        self._screen.run_worker(work, thread=True, group="plan")

    def forward(self, resource: Resource) -> None:
        """Ask for the ports, then forward a local port to the pods."""
        from devenv.tui.dialogs import AskScreen

        first = next((str(port.container) for port in self._ports(resource)), "")
        question = f"Lead which local port to which port of {resource.kind} {resource.name}? LOCAL:PORT or PORT"
        self._screen.app.push_screen(
            AskScreen(question, first, _ports), lambda text: self._begin_forward(resource, text) if text else None
        )

    def _ports(self, resource: Resource) -> tuple[Port, ...]:
        """Return its ports; a workload has those of its pods."""
        group = self._board.services.group_of_workload(resource)
        if resource.ports or group is None:
            return resource.ports
        pod = self._screen.store.resource(next(iter(group.pods.values()), ""))
        return pod.ports if pod is not None else ()

    def _begin_forward(self, resource: Resource, text: str) -> None:
        session = self._session()
        if session is None:
            return
        local, _, port = text.rpartition(":")

        def work() -> None:
            try:
                made = session.forward(resource, port, int(local or 0))
            except DevenvError as error:
                self._screen.app.call_from_thread(self._screen.changes.impossible, "port-forward", error)
            else:
                self._screen.app.call_from_thread(self._opened, made)

        self._screen.run_worker(work, thread=True, group="forward")

    def _opened(self, made: Forwarding) -> None:
        self.forwards.append(made)
        stats = made.stats()
        self._screen.notify(
            safe(f"127.0.0.1:{stats.local_port} → {stats.target}  (F lists them)"), title="port-forward", markup=False
        )

    def close_forward(self, index: int) -> None:
        """Close one of the port-forwards."""
        if 0 <= index < len(self.forwards):
            made = self.forwards.pop(index)
            self._screen.run_worker(made.close, thread=True, group="forward")

    def close(self) -> None:
        """Close all port-forwards: the program ends."""
        while self.forwards:
            self.forwards.pop().close()


def _place(resource: Resource) -> str:
    return resource.name if resource.kind == "pod" else f"{resource.kind}/{resource.name}"


def _word(text: str) -> str:
    return "" if text and not text.startswith("-") and " " not in text else "the name of an image"


def _ports(text: str) -> str:
    local, _, port = text.rpartition(":")
    fine = bool(port) and (not local or (local.isdigit() and int(local) < 65536))
    return "" if fine else "LOCAL:PORT, or PORT alone for a free local port"
