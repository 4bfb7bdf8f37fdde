"""The views of a cluster and what is done to what is selected: each change is planned in a thread, then offered."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import Final

from textual.app import SuspendNotSupported
from textual.screen import Screen

from devenv.backends.joined import JoinedBackend
from devenv.control.joined import JoinedControl
from devenv.control.protocol import Plan
from devenv.core.errors import DevenvError
from devenv.core.model import Port, Resource
from devenv.tui.kube.session import Connector, Forwarding, Session
from devenv.tui.kube.sides import COMPOSE, DONE_TO, Side, preferred, runtime_of
from devenv.tui.screens.joint import JointScreen
from devenv.tui.shown import shown

Choice = tuple[str, str, str]  # the answer, how it is written, and what is said beside it
DEBUG_IMAGE: Final = "busybox"
_SHELL: Final = "command -v bash >/dev/null && exec bash || exec sh"


class ClusterActions(JointScreen):
    """Opens screens about the selected object, and passes wishes on."""

    def __init__(self, backend: JoinedBackend, control: JoinedControl, title: str, connector: Connector) -> None:
        super().__init__(backend, control, title, connector)
        self.actions = KindActions(self)
        self._runtime = COMPOSE  # where the last change of a service of both runtimes was done

    def _with(self, act: Callable[[Resource], None]) -> None:
        resource = self.selected_cluster
        if resource is not None and self.session is not None:
            act(resource)

    def choose(self, what: str, choices: Sequence[Choice], here: str, take: Callable[[str], None]) -> None:
        """Let the user choose one of several names."""
        from devenv.tui.screens.picker import PickerScreen

        self.app.push_screen(PickerScreen(what, choices, here), lambda name: take(name) if name else None)

    def action_change(self, verb: str) -> None:
        """Change the selected service, in the runtime of its line; of a line of both, in the one that is chosen."""
        self._on_a_side(verb)

    def action_shell(self) -> None:
        """Open a shell in a container, of the runtime of the line or of the one that is chosen."""
        self._on_a_side("shell")

    def _on_a_side(self, verb: str) -> None:
        found = {side.name: side for side in self.sides(verb)}
        if len(found) < 2:
            for side in found.values():
                self.actions.on_side(verb, side)
            return

        def take(name: str) -> None:
            self._runtime = runtime_of(name)
            self.actions.on_side(verb, found[name])

        what = f"{next(iter(found.values())).resource.service} to {DONE_TO[verb]}"
        choices = [(name, name, side.words) for name, side in found.items()]
        self.choose(what, choices, preferred(found.values(), self._runtime), take)

    def action_yaml(self) -> None:
        """Show the whole object."""
        from devenv.tui.screens.yaml import YamlScreen

        self._with(lambda resource: self._open(YamlScreen(self, resource)))

    def action_describe(self) -> None:
        """Show the object in sentences."""
        from devenv.tui.screens.describe import DescribeScreen

        self._with(lambda resource: self._open(DescribeScreen(self, resource)))

    def action_previous(self) -> None:
        """Show what the containers before the present ones wrote."""
        from devenv.tui.screens.previous import PreviousScreen

        self._with(lambda resource: self._open(PreviousScreen(self, resource)))

    def action_owners(self) -> None:
        """Show who owns whom around the selected object."""
        from devenv.tui.screens.owners import OwnersScreen

        self._with(lambda resource: self._open(OwnersScreen(self, resource)))

    def action_events(self) -> None:
        """Show what happened, to the selected service or to all."""
        from devenv.tui.screens.events import EventsScreen

        self._open(EventsScreen(self))

    def action_hpa(self) -> None:
        """Show the autoscaler of the selected workload."""
        from devenv.tui.screens.hpa import HpaScreen

        self._with(lambda resource: self._open(HpaScreen(self, self.actions.autoscaler(resource) or resource.key)))

    def action_rollout(self) -> None:
        """Show the selected workload's pods by their stage."""
        from devenv.tui.screens.rollout import RolloutScreen

        self._with(lambda resource: self._open(RolloutScreen(self, resource)))

    def action_forwards(self) -> None:
        """Show the port-forwards."""
        from devenv.tui.screens.forwards import ForwardsScreen

        self._open(ForwardsScreen(self, self.actions.forwards, self.actions.close_forward))

    def _open(self, screen: Screen[None]) -> None:
        self.app.push_screen(screen)

    def action_scale(self) -> None:
        """Ask for the number of pods."""
        self._with(self.actions.scale)

    def action_undo(self) -> None:
        """Go back to the revision before."""
        self._with(lambda resource: self.actions.change("undo", resource))

    def action_pause(self) -> None:
        """Pause the rollout, or let it go on."""
        self._with(self.actions.pause)

    def action_delete(self) -> None:
        """Delete the selected object."""
        self._with(lambda resource: self.actions.change("delete", resource))

    def action_evict(self) -> None:
        """Evict the selected pod."""
        self._with(lambda resource: self.actions.change("evict", resource))

    def action_cordon(self) -> None:
        """Let no new pods onto the node, or let them again."""
        self._with(self.actions.cordon)

    def action_drain(self) -> None:
        """Evict all pods of the node."""
        self._with(lambda resource: self.actions.change("drain", resource))

    def action_debug(self) -> None:
        """Open a shell in a new container beside the pod's."""
        self._with(self.actions.debug)

    def action_edit(self) -> None:
        """Edit the object."""
        self._with(self.actions.edit)

    def action_forward(self) -> None:
        """Ask for a port and lead a local one to it."""
        self._with(self.actions.forward)


class KindActions:
    """Asks what has to be asked first; tells why where something is not possible."""

    def __init__(self, screen: ClusterActions) -> None:
        self._screen = screen
        self.forwards: list[Forwarding] = []

    def change(self, verb: str, resource: Resource, argument: str = "") -> None:
        """Plan a change in a thread, since its reach is read from the cluster, and offer it."""
        session = self._screen.session
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

    def on_side(self, verb: str, side: Side) -> None:
        """Do what a key means in that runtime: in a cluster, to stop is to scale to 0."""
        resource = side.resource
        if not side.in_cluster:
            if verb == "shell":
                self._compose_shell(resource)
            else:
                self._screen.changes.ask(verb, (resource.service,))
        elif verb == "shell":
            self._outside("exec", resource, "exec", "-it", _place(resource), "--", "sh", "-c", _SHELL)
        elif verb == "stop":
            self.change("scale", resource, "0")
        elif verb == "start":
            self.scale(resource)
        else:
            self.change(verb, resource)

    def scale(self, resource: Resource) -> None:
        """Ask for the number of pods, then scale; for one that has none, 1 is proposed."""
        from devenv.tui.screens.ask import AskScreen

        now = str(resource.ready[1] or 1) if resource.ready is not None else ""
        if self._screen.session is not None and not self._screen.session.may_change:
            self.change("scale", resource, now or "1")  # the refusal says why; nothing is asked for nothing
            return
        question = f"How many pods shall {resource.kind} {resource.name} have?"
        self._screen.app.push_screen(
            AskScreen(question, now, _replicas), lambda text: self.change("scale", resource, text) if text else None
        )

    def pause(self, resource: Resource) -> None:
        """Pause the rollout; resume one that is paused."""
        self.change("resume" if dict(resource.facts).get("paused") else "pause", resource)

    def cordon(self, node: Resource) -> None:
        """Cordon the node; uncordon one that is cordoned."""
        self.change("uncordon" if "SchedulingDisabled" in node.status else "cordon", node)

    def _compose_shell(self, resource: Resource) -> None:
        session = self._screen.session
        if session is not None:
            plan, command = session.compose_exec(resource, "sh", "-c", _SHELL)
            self._leave(session, plan, command)

    def debug(self, resource: Resource) -> None:
        """Leave the screen to a shell in an ephemeral container of the pod, or in a pod on the node."""
        from devenv.tui.screens.ask import AskScreen

        def begin(image: str | None) -> None:
            if image:
                what = resource.name if resource.kind == "pod" else f"node/{resource.name}"
                target = () if resource.kind == "pod" else ("--profile=sysadmin",)
                # Without a command it would be the image's own, which may be a server.
                self._outside("debug", resource, "debug", "-it", what, f"--image={image}", *target, "--", "sh")

        if self._screen.session is not None and not self._screen.session.may_change:
            begin(DEBUG_IMAGE)
            return
        self._screen.app.push_screen(
            AskScreen(f"Which image shall the debug container beside {resource.name} have?", DEBUG_IMAGE, _word), begin
        )

    def edit(self, resource: Resource) -> None:
        """Leave the screen to $EDITOR; the API server validates, and kubectl opens the editor again on an error."""
        self._outside("edit", resource, "edit", f"{resource.kind}/{resource.name}")

    def _outside(self, verb: str, resource: Resource, *arguments: str) -> None:
        session = self._screen.session
        if session is None:
            return

        def work() -> None:
            try:
                plan = session.plan(verb, resource)
                command = session.kubectl(resource.namespace, *arguments)
            except DevenvError as error:
                self._screen.app.call_from_thread(self._screen.changes.impossible, verb, error)
            else:
                self._screen.app.call_from_thread(self._leave, session, plan, command)

        self._screen.run_worker(work, thread=True, group="plan")

    def _leave(self, session: Session, plan: Plan, command: list[str]) -> None:
        if not plan.allowed:
            self._screen.changes.offer(plan)
            return
        app = self._screen.app
        try:
            with app.suspend():
                sys.stdout.write(f"$ {shown(' '.join(command))}\n")
                sys.stdout.flush()
                code = session.hand_over(plan, command)
        except SuspendNotSupported:
            self._screen.say("This terminal cannot be given to another program.", plan.verb)
            return
        except DevenvError as error:
            self._screen.changes.impossible(plan.verb, error)
            return
        app.refresh(layout=True)
        if code:
            self._screen.say(f"{plan.verb} ended with exit code {code}", PurePath(command[0]).name)

    def forward(self, resource: Resource) -> None:
        """Ask for the ports, then lead a local port to the pods."""
        from devenv.tui.screens.ask import AskScreen

        first = next((str(port.container) for port in self._ports(resource)), "")
        question = f"Lead which local port to which port of {resource.kind} {resource.name}? LOCAL:PORT or PORT"
        self._screen.app.push_screen(
            AskScreen(question, first, _ports), lambda text: self._begin_forward(resource, text) if text else None
        )

    def _ports(self, resource: Resource) -> tuple[Port, ...]:
        """Return its ports; a workload has those of its pods."""
        group = self._screen.joint.services.group_of_workload(resource)
        if resource.ports or group is None:
            return resource.ports
        pod = self._screen.store.resource(next(iter(group.pods.values()), ""))
        return pod.ports if pod is not None else ()

    def _begin_forward(self, resource: Resource, text: str) -> None:
        session = self._screen.session
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
            shown(f"127.0.0.1:{stats.local_port} → {stats.target}  (F lists them)"), title="port-forward", markup=False
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

    def autoscaler(self, resource: Resource) -> str | None:
        """Return the key of the autoscaler that a workload has, or of the one that is selected."""
        if resource.kind == "horizontalpodautoscaler":
            return resource.key
        board = self._screen.joint
        wanted = f"{resource.kind}/{resource.name}"
        for key in board.scaling.keys:
            found = self._screen.store.resource(key)
            scaling = self._screen.store.scaling(key)
            if found is None or scaling is None or found.namespace != resource.namespace:
                continue
            if scaling.target.casefold() == wanted:
                return key
        return None


def _place(resource: Resource) -> str:
    return resource.name if resource.kind == "pod" else f"{resource.kind}/{resource.name}"


def _replicas(text: str) -> str:
    return "" if text.isdigit() and len(text) < 6 else "a whole number, 0 or more"


def _word(text: str) -> str:
    return "" if text and not text.startswith("-") and " " not in text else "the name of an image"


def _ports(text: str) -> str:
    local, _, port = text.rpartition(":")
    fine = bool(port) and (not local or (local.isdigit() and int(local) < 65536))
    return "" if fine else "LOCAL:PORT, or PORT alone for a free local port"
