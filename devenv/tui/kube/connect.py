"""Connects the terminal to a cluster: the kubeconfig's, or the one that devenv.toml or a flag names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from devenv.core.errors import DevenvError
from devenv.core.kube_settings import KubeSettings

if TYPE_CHECKING:
    from devenv.backends.compose import ComposeOptions
    from devenv.backends.kube.kubeconfig import Contexts, Target
    from devenv.control.guard import Guard
    from devenv.tui.kube.live import LiveSession


class KubeConnector:
    """`devenv.tui.kube.session.Connector` of the real world."""

    def __init__(
        self,
        settings: KubeSettings,
        environ: Mapping[str, str],
        options: ComposeOptions,
        guard: Guard,
        *,
        alone: bool = False,
    ) -> None:
        self.alone = alone
        self._settings = settings
        self._environ = environ
        self._options = options
        self._guard = guard

    def wants(self) -> bool:
        """Return whether `connect` opens a cluster: settings name it, or the current one is on the allow-list."""
        if self._settings.context:
            return True
        current = self.current()
        return bool(current) and self._settings.may_change(current)

    def connect(self) -> LiveSession | None:
        """Open the context that settings name, or the current one where it is on the allow-list; else none."""
        return self._session(self._settings) if self.wants() else None

    def open(self, context: str) -> LiveSession:
        """Open that context, in its own namespace."""
        return self._session(replace(self._settings, context=context, namespace=""))

    def target(self, context: str) -> Target:
        """Return the place that a context names."""
        from devenv.backends.kube.kubeconfig import find_target

        return find_target(replace(self._settings, context=context, namespace=""), self._environ)

    def contexts(self) -> Contexts:
        """Return all contexts."""
        from devenv.backends.kube.kubeconfig import contexts

        return contexts(self._environ)

    def may_change(self, context: str) -> bool:
        """Whether that context is on the allow-list, and devenv is not read-only."""
        return self._settings.may_change(context) and not self._guard.read_only

    def stamp(self) -> object:
        """Return what differs after the kubeconfig was changed."""
        from devenv.backends.kube.kubeconfig import kubeconfig_stamp

        return kubeconfig_stamp(self._environ)

    def current(self) -> str:
        """Return the current context."""
        return self.contexts().current

    def _session(self, settings: KubeSettings) -> LiveSession:
        from devenv.backends.kube.kubeconfig import find_target
        from devenv.tui.kube.live import LiveSession

        target = find_target(settings, self._environ)
        return LiveSession(
            target,
            self._settings,
            self._environ,
            self._compose_service,
            self._guard,
        )

    def _compose_service(self, name: str) -> Mapping[str, Any]:
        from devenv.backends.compose import canonical

        services = canonical(self._options, self._environ).get("services") or {}
        if name not in services:
            raise DevenvError(f"Compose has no service {name}")
        service: Mapping[str, Any] = services[name]
        return service
