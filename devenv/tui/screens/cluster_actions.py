"""The views of a cluster and what is done to what is selected: one short method a key."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.screen import Screen

from devenv.backends.joined import JoinedBackend
from devenv.control.joined import JoinedControl
from devenv.core.model import Resource
from devenv.tui.kube.deeds import Deeds
from devenv.tui.kube.session import Connector
from devenv.tui.kube.sides import COMPOSE, DONE_TO, preferred, runtime_of
from devenv.tui.screens.joint import JointScreen

Choice = tuple[str, str, str]  # the answer, how it is written, and what is said beside it


class ClusterActions(JointScreen):
    """Opens screens about the selected object, and passes wishes on."""

    def __init__(self, backend: JoinedBackend, control: JoinedControl, title: str, connector: Connector) -> None:
        super().__init__(backend, control, title, connector)
        self.deeds = Deeds(self)
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
                self.deeds.on_side(verb, side)
            return

        def take(name: str) -> None:
            self._runtime = runtime_of(name)
            self.deeds.on_side(verb, found[name])

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

        self._with(lambda resource: self._open(HpaScreen(self, self.deeds.autoscaler(resource) or resource.key)))

    def action_rollout(self) -> None:
        """Show the selected workload's pods by their stage."""
        from devenv.tui.screens.rollout import RolloutScreen

        self._with(lambda resource: self._open(RolloutScreen(self, resource)))

    def action_forwards(self) -> None:
        """Show the port-forwards."""
        from devenv.tui.screens.forwards import ForwardsScreen

        self._open(ForwardsScreen(self))

    def _open(self, screen: Screen[None]) -> None:
        self.app.push_screen(screen)

    def action_scale(self) -> None:
        """Ask for the number of pods."""
        self._with(self.deeds.scale)

    def action_undo(self) -> None:
        """Go back to the revision before."""
        self._with(lambda resource: self.deeds.change("undo", resource))

    def action_pause(self) -> None:
        """Pause the rollout, or let it go on."""
        self._with(self.deeds.pause)

    def action_delete(self) -> None:
        """Delete the selected object."""
        self._with(lambda resource: self.deeds.change("delete", resource))

    def action_evict(self) -> None:
        """Evict the selected pod."""
        self._with(lambda resource: self.deeds.change("evict", resource))

    def action_cordon(self) -> None:
        """Let no new pods onto the node, or let them again."""
        self._with(self.deeds.cordon)

    def action_drain(self) -> None:
        """Evict all pods of the node."""
        self._with(lambda resource: self.deeds.change("drain", resource))

    def action_debug(self) -> None:
        """Open a shell in a new container beside the pod's."""
        self._with(self.deeds.debug)

    def action_edit(self) -> None:
        """Edit the object."""
        self._with(self.deeds.edit)

    def action_forward(self) -> None:
        """Ask for a port and lead a local one to it."""
        self._with(self.deeds.forward)
