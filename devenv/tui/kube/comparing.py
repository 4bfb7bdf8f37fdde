"""The differences of the selected joint service, read in a thread and kept until one of its sides changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devenv.core.errors import DevenvError
from devenv.tui.kube.differences import Difference, differences, shared_configs
from devenv.tui.kube.groups import Group, GroupKey

if TYPE_CHECKING:
    from devenv.core.model import Resource
    from devenv.tui.kube.session import Session
    from devenv.tui.screens.joint import JointScreen

Found = tuple[Difference, ...] | str


class Comparing:
    """Answers at once with what is known, and reads the rest."""

    def __init__(self, screen: JointScreen) -> None:
        self._screen = screen
        self._found: dict[GroupKey, tuple[object, Found]] = {}

    def of(self, group: Group) -> Found:
        """Return the differences of that service; a sentence while they are not known."""
        session = self._screen.session
        workload = self._screen.store.resource(next(iter(group.workloads.values()), ""))
        if session is None or workload is None:
            return "not known: only pods were found in the cluster"
        state = (workload.key, workload.image, workload.facts, tuple(group.compose.values()))
        known = self._found.get(group.key)
        if known is not None and known[0] == state:
            return known[1]
        self._found[group.key] = (state, "reading both sides…")
        self._screen.run_worker(
            lambda: self._read(session, group.key, state, workload),
            thread=True,
            group="differences",
            exit_on_error=False,
        )
        return "reading both sides…"

    def forget(self) -> None:
        """Read anew: another cluster."""
        self._found.clear()

    def _read(self, session: Session, key: GroupKey, state: object, workload: Resource) -> None:
        found: Found
        try:
            service = session.compose_service(key.service)
            whole = session.read(workload)
            configs = {name: session.config_map(workload.namespace, name) for name in shared_configs(whole)}
            found = differences(service, whole, configs)
        except DevenvError as error:
            found = f"not known: {error.message}"
        self._screen.app.call_from_thread(self._take, key, state, found)

    def _take(self, key: GroupKey, state: object, found: Found) -> None:
        self._found[key] = (state, found)
        self._screen.show_detail()
