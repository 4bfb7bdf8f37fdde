"""A session with a real cluster: the backend, the control, and what is asked of both in threads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from devenv.backends.kube.backend import KubeBackend
from devenv.backends.kube.errors import KubeError
from devenv.backends.kube.kinds import CONFIG_MAPS, NAMESPACES, PODS, Kind, discover
from devenv.backends.kube.kubeconfig import Target
from devenv.backends.kube.look import environment_of
from devenv.control.guard import Guard
from devenv.control.kube import kubectl
from devenv.control.kube.change import cluster_identity
from devenv.control.kube.control import KubeControl
from devenv.control.kube.forward import Forward
from devenv.control.protocol import Plan
from devenv.core.kube_settings import KubeSettings
from devenv.core.model import Resource
from devenv.core.signals import hand_over
from devenv.core.text import sanitize

OUTSIDE: Final = {
    "exec": "Opens a shell in a container of {target}: what is done there is not seen by devenv.",
    "debug": "Adds a container to {target}, which stays until the pod is gone.",
    "edit": "Changes {target} as the editor is left.",
}
TAIL: Final = 2_000  # lines of a previous log


class LiveSession:
    """`devenv.tui.kube.session.ClusterSession` with a cluster; not connected before something is asked."""

    def __init__(
        self,
        target: Target,
        settings: KubeSettings,
        environ: Mapping[str, str],
        compose_service: Callable[[str], Mapping[str, Any]],
        guard: Guard,
    ) -> None:
        self._settings = settings
        self._environ = environ
        self.compose_service = compose_service
        self._guard = guard
        self.backend = KubeBackend(target, environ)
        self.control = KubeControl(lambda: self.backend.client, self._guard, environ)

    @property
    def target(self) -> Target:
        """The cluster and the namespace."""
        return self.backend.target

    @property
    def may_change(self) -> bool:
        """Whether the context is on the allow-list and devenv is not read-only."""
        return self._settings.may_change(self.target.context.name) and not self._guard.read_only

    def move(self, target: Target) -> None:
        """Go to another context or namespace; the control asks for the client of the moment."""
        self.backend.switch(target)

    def kinds(self) -> tuple[Kind, ...]:
        """Return all kinds that the cluster serves."""
        return discover(self.backend.client)

    def namespaces(self) -> tuple[str, ...]:
        """Return the names of all namespaces."""
        items, _ = self.backend.client.list(NAMESPACES)
        return tuple(sorted(sanitize(str(item["metadata"]["name"])) for item in items))

    def read(self, resource: Resource) -> Mapping[str, Any]:
        """Return the whole object."""
        return self.backend.read(resource.key)

    def config_map(self, namespace: str, name: str) -> Mapping[str, str]:
        """Return a ConfigMap's data."""
        data: Mapping[str, str] = self.backend.client.get(CONFIG_MAPS.path(namespace, name)).get("data") or {}
        return data

    def previous_log(self, pod: Resource) -> str:
        """Return what the runs before the present ones wrote, container by container."""
        client = self.backend.client
        path = PODS.path(pod.namespace, pod.name)
        raw = client.get(path)
        environment_of(client, raw)  # what is secret in it is masked in its lines
        spec = raw.get("spec") or {}
        texts = []
        for item in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
            name = str(item.get("name"))
            try:
                text = client.get(f"{path}/log", container=name, previous="true", tailLines=TAIL)
            except KubeError as error:
                text = f"({error.message})"
            texts.append(f"── container {name}, the run before the present one ──\n{text}")
        return "\n".join(texts)

    def forward(self, resource: Resource, port: str, local_port: int) -> Forward:
        """Open a port-forward to a port by its number or name."""
        forward = Forward(
            self.backend.client,
            resource.kind,
            resource.name,
            int(port) if port.isdigit() else port,
            local_port,
            namespace=resource.namespace,
        )
        forward.start()
        return forward

    def plan(self, verb: str, resource: Resource, argument: str = "") -> Plan:
        """Weigh a change with its blast radius."""
        target = f"{resource.kind}/{resource.namespace}/{resource.name}".replace("//", "/")
        if verb in OUTSIDE:
            place = cluster_identity(self.backend.client, resource.namespace)
            return self._guard.plan_cluster(verb, (target,), place, sentences=(OUTSIDE[verb].format(target=target),))
        return self.control.survey(verb, (target,), {"replicas": argument} if argument else None)

    def kubectl(self, namespace: str, *arguments: str) -> list[str]:
        """Return a command line of kubectl for this context."""
        return kubectl.command(self.target, self._environ, *arguments, namespace=namespace)

    def hand_over(self, plan: Plan, command: list[str]) -> int:
        """Let the guard pass the plan, run the command in this terminal and return its exit code."""
        now = cluster_identity(self.backend.client, plan.namespace) if plan.context else None
        with self._guard.passing(plan, now=now) as outcome:
            outcome.code = hand_over(command, self._environ)
        return outcome.code
