"""One rendered folder as rules see it: objects by kind, workloads with their pods and containers, who selects whom."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from devenv.backends.compose import ComposeOptions, canonical
from devenv.backends.kube.fields import labels_match
from devenv.core.manifest_settings import ManifestSettings
from devenv.manifests import access, schemas
from devenv.manifests.kustomization import Kustomization, Tree
from devenv.manifests.model import Environment, Manifest, ObjectPath, Place, Problem
from devenv.manifests.provenance import Provenance
from devenv.manifests.targets import Surroundings

_URL_PATH = re.compile(r"https?://[^/\s\"']+(/[^\s\"'?]*)")


@dataclass(frozen=True, slots=True)
class ComposeService:
    """One service, reduced to what a manifest states too. None: Compose leaves it to the image."""

    name: str
    ports: frozenset[int]
    environment: frozenset[str]
    health_paths: frozenset[str]
    user: str | None
    memory: float | None
    cpus: float | None


def read_services(options: ComposeOptions) -> dict[str, ComposeService]:
    """Ask Compose for the services of a project, those of every profile included.

    Raises ProjectError (invalid files), ToolMissing, EngineUnreachable (broken docker context).
    """
    return parse_services(canonical(options))


def parse_services(document: object) -> dict[str, ComposeService]:
    """Read Compose's canonical form of a project."""
    return {name: _service(name, body) for name, body in access.mapping(document, "services").items()}


def _service(name: str, body: Any) -> ComposeService:
    limits = access.mapping(body, "deploy", "resources", "limits")
    targets = {access.whole(port, "target") for _, port in access.mappings(body, "ports")}
    numbers = (str(port).partition("/")[0] for port in access.sequence(body, "expose"))
    exposed = {int(port) for port in numbers if port.isdigit()}
    user = access.get(body, "user")
    test = access.get(body, "healthcheck", "test")
    words = test if isinstance(test, list) else [test]
    return ComposeService(
        name=name,
        ports=frozenset({port for port in targets if port is not None} | exposed),
        environment=frozenset(access.mapping(body, "environment")),
        health_paths=frozenset(path for word in words if isinstance(word, str) for path in _URL_PATH.findall(word)),
        user=str(user) if user is not None else None,
        memory=access.quantity(access.get(limits, "memory") or access.get(body, "mem_limit")),
        cpus=access.quantity(access.get(limits, "cpus") or access.get(body, "cpus")),
    )


# Kind -> where its pod template is. https://kubernetes.io/docs/concepts/workloads/
_TEMPLATES: dict[tuple[str, str], ObjectPath] = {
    ("apps", "Deployment"): ("spec", "template"),
    ("apps", "StatefulSet"): ("spec", "template"),
    ("apps", "DaemonSet"): ("spec", "template"),
    ("apps", "ReplicaSet"): ("spec", "template"),
    ("", "ReplicationController"): ("spec", "template"),
    ("batch", "Job"): ("spec", "template"),
    ("batch", "CronJob"): ("spec", "jobTemplate", "spec", "template"),
    ("", "Pod"): (),
}
_POD_NAME = "statefulset.kubernetes.io/pod-name"
# Labels that a controller adds to each of its pods. https://kubernetes.io/docs/reference/labels-annotations-taints/
_RUNTIME_LABELS = {
    _POD_NAME: "StatefulSet",
    "apps.kubernetes.io/pod-index": "StatefulSet",
    "pod-template-hash": "Deployment",
    "batch.kubernetes.io/job-name": "Job",
    "job-name": "Job",
}
# Custom resources of which no pod, account, claim or ConfigMap is made.
_MAKE_NOTHING = frozenset({
    "AuthorizationPolicy", "Certificate", "ClusterIssuer", "ClusterSecretStore", "DestinationRule",
    "ExternalSecret", "GRPCRoute", "HTTPRoute", "IngressRoute", "Issuer", "Middleware", "PeerAuthentication",
    "PodMonitor", "PrometheusRule", "Route", "ScaledObject", "SealedSecret", "SecretStore", "ServiceMonitor",
    "VirtualService",
})  # fmt: skip
# How a pod names an object: in envFrom, in a variable, in a volume, and the field of the volume with the name.
_REFERENCES = {
    "ConfigMap": ("configMapRef", "configMapKeyRef", "configMap", "name"),
    "Secret": ("secretRef", "secretKeyRef", "secret", "secretName"),
}
# What a container takes over from its pod. k8s.io/api/core/v1: PodSecurityContext
_POD_SECURITY = frozenset({"runAsNonRoot", "runAsUser", "seccompProfile", "windowsOptions"})
LONG_RUNNING = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Pod"})


@dataclass(frozen=True, slots=True)
class Workload:
    """An object that makes pods. `template` is its path to the pod's metadata and spec."""

    manifest: Manifest
    template: ObjectPath

    @property
    def kind(self) -> str:
        """The object's kind."""
        return self.manifest.kind

    @property
    def pod_path(self) -> ObjectPath:
        """The path of the pod's spec."""
        return (*self.template, "spec")

    @property
    def pod(self) -> dict[str, Any]:
        """The pod's spec."""
        return access.mapping(self.manifest.data, *self.pod_path)

    @property
    def labels(self) -> dict[str, Any]:
        """The labels that its pods get."""
        return access.mapping(self.manifest.data, *self.template, "metadata", "labels")

    def selectable(self, labels: Mapping[str, Any]) -> dict[str, Any]:
        """Return its pods' labels with those of the selected ones that its controller will add to them."""
        added = {key: value for key, value in labels.items() if _RUNTIME_LABELS.get(key) == self.kind}
        pod = added.get(_POD_NAME)
        if pod is not None and str(pod).rpartition("-")[0] != self.manifest.name:
            del added[_POD_NAME]
        return {**self.labels, **added} if added else self.labels

    @property
    def claim_templates(self) -> set[str]:
        """The names of the volumes that a StatefulSet gives each of its pods."""
        templates = access.mappings(self.manifest.data, "spec", "volumeClaimTemplates")
        return {access.text(claim, "metadata", "name") for _, claim in templates}

    @property
    def long_running(self) -> bool:
        """Whether its pods run until they are replaced."""
        return self.kind in LONG_RUNNING

    @property
    def replicas(self) -> int:
        """How many pods it asks for; 1 where it does not say (apps/v1)."""
        stated = access.whole(self.manifest.data, "spec", "replicas")
        return 1 if stated is None else stated

    def containers(self, *, main: bool = False) -> Iterator[Container]:
        """Yield its containers; with `main`, only those that run as long as the pod and are not init containers."""
        for field_name in ("containers",) if main else ("initContainers", "containers"):
            for index, data in access.mappings(self.pod, field_name):
                yield Container(self, data, (*self.pod_path, field_name, index), field_name == "initContainers")

    def references(self, kind: str) -> Iterator[Reference]:
        """Yield each place where its pods name a ConfigMap or a Secret."""
        whole, one, volume, field_name = _REFERENCES[kind]
        places: list[tuple[ObjectPath, Any, str]] = []
        for container in self.containers():
            for index, item in access.mappings(container.data, "envFrom"):
                places.append(((*container.path, "envFrom", index, whole), item.get(whole), "name"))
            for index, item in access.mappings(container.data, "env"):
                path = (*container.path, "env", index, "valueFrom", one)
                places.append((path, access.get(item, "valueFrom", one), "name"))
        for index, item in access.mappings(self.pod, "volumes"):
            base = (*self.pod_path, "volumes", index)
            places.append(((*base, volume), item.get(volume), field_name))
            for place, source in access.mappings(item, "projected", "sources"):
                places.append(((*base, "projected", "sources", place, volume), source.get(volume), "name"))
        for path, data, named in places:
            if data and isinstance(data, dict):
                items = tuple(access.text(item, "key") for _, item in access.mappings(data, "items"))
                key, optional = access.text(data, "key"), data.get("optional") is True
                yield Reference(path, access.text(data, named), key, items, optional)

    def problem(self, message: str, *path: str | int, item: str = "", inconclusive: str = "") -> Problem:
        """Return a problem of its pods, at a path inside their spec."""
        return Problem(self.manifest, (*self.pod_path, *path), message, item, inconclusive)

    def port_names(self) -> dict[str, int]:
        """Return the named container ports, restartable init containers (sidecars) included."""
        ports = (port for container in self.containers() for _, port in access.mappings(container.data, "ports"))
        return {
            access.text(port, "name"): access.whole(port, "containerPort") or 0 for port in ports if port.get("name")
        }

    def port_numbers(self) -> set[int]:
        """Return the container ports."""
        ports = (port for container in self.containers() for _, port in access.mappings(container.data, "ports"))
        return {number for port in ports if (number := access.whole(port, "containerPort")) is not None}

    def port_number(self, port: object) -> int | None:
        """Resolve a port given by name; None: no container has that name. A number need not be declared."""
        return self.port_names().get(port) if isinstance(port, str) else port if isinstance(port, int) else None


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a pod names a ConfigMap or a Secret: for one key (a variable), some items (a volume), or all of it."""

    path: ObjectPath
    name: str
    key: str
    items: tuple[str, ...]
    optional: bool


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a workload's pods."""

    workload: Workload
    data: dict[str, Any]
    path: ObjectPath
    init: bool

    @property
    def name(self) -> str:
        """The container's name."""
        return access.text(self.data, "name")

    @property
    def manifest(self) -> Manifest:
        """The object it is in."""
        return self.workload.manifest

    def security(self, key: str) -> Any:
        """Return a field of its security context, the pod's where the container takes it over."""
        own = access.get(self.data, "securityContext", key)
        inherited = own is None and key in _POD_SECURITY
        return access.get(self.workload.pod, "securityContext", key) if inherited else own

    def problem(self, message: str, *path: str | int, item: str = "", inconclusive: str = "") -> Problem:
        """Return a problem of the container, at a path inside it; the message goes on after the container's name."""
        return Problem(self.manifest, (*self.path, *path), f"container {self.name} {message}", item, inconclusive)


@dataclass
class Rendering:
    """The objects of one folder, and what is declared about it."""

    manifests: tuple[Manifest, ...]
    environment: Environment
    name: str
    versions: tuple[str, ...]
    tree: Tree
    settings: ManifestSettings = field(default_factory=ManifestSettings)
    compose: Mapping[str, ComposeService] | None = None
    around: Surroundings | None = None

    @cached_property
    def part(self) -> str:
        """Why the folder is only a part of what is applied: what it lacks, another folder may bring. Empty: it is all.

        A component is one, and a folder that another kustomization of the repository uses.
        """
        if self.tree.root.is_component:
            return "this is a component"
        user = self.around.users.get(self.tree.root.folder.resolve()) if self.around else None
        return f"this folder is a part of {user.name}" if user else ""

    def absence(self, kind: str, name: str = "") -> str:
        """Say why what this rendering lacks may be there all the same; empty where nothing says so.

        `kind` is the kind that is referred to, empty for pods of any kind.
        """
        known = bool(self.workloads) if not kind else any(kind == present for _, present in self._by_kind)
        if self.part or not known:
            return self.part or f"this folder has no {kind or 'pods'} at all"
        if self._makers:
            return f"{self._makers[0].title} may make it"
        file = self.around.declaring(kind, name) if self.around and kind and name else None
        return f"it is in {file.parent.name}/{file.name}, which this folder does not use" if file else ""

    @cached_property
    def _makers(self) -> list[Manifest]:
        """The custom resources from which an operator may make pods and what they need."""
        return [
            manifest
            for manifest in self.manifests
            if manifest.kind not in _MAKE_NOTHING and not schemas.is_builtin_group(manifest, self.versions)
        ]

    @cached_property
    def provenance(self) -> Provenance:
        """Where its values were written."""
        return Provenance(self.tree)

    @property
    def kustomizations(self) -> list[Kustomization]:
        """The kustomization files that it is made of, the outermost first."""
        return self.tree.kustomizations

    @property
    def place(self) -> Place:
        """The outermost kustomization file, for what is in no object."""
        return Place(self.tree.root.file)

    def of(self, group: str, *kinds: str) -> list[Manifest]:
        """Return the objects of a group (any version) and of one of the kinds."""
        return [manifest for kind in kinds for manifest in self._by_kind.get((group, kind), ())]

    def find(self, group: str, kind: str, namespace: str, name: str) -> Manifest | None:
        """Return the object of that name; the namespace counts only where both have one."""
        for manifest in self._by_kind.get((group, kind), ()):
            if manifest.name == name and same_namespace(manifest.namespace, namespace):
                return manifest
        return None

    def dangling(
        self, user: Manifest, path: ObjectPath, target: tuple[str, str, str], message: str, namespace: str | None = None
    ) -> Iterator[Problem]:
        """Yield the problem of a reference to a target (group, kind, name) that is not here, as seen by its user."""
        group, kind, name = target
        if self.find(group, kind, user.namespace if namespace is None else namespace, name) is None:
            yield user.problem(f"{message} is not in this rendering", *path, inconclusive=self.absence(kind, name))

    def selects_nothing(self, selecting: Manifest, *path: str | int) -> Problem:
        """Return the problem of a selector that selects no pods."""
        return selecting.problem("selects no pods of this rendering", *path, inconclusive=self.absence(""))

    @cached_property
    def workloads(self) -> list[Workload]:
        """Everything that makes pods."""
        return [
            Workload(manifest, template)
            for (group, kind), template in _TEMPLATES.items()
            for manifest in self.of(group, kind)
        ]

    def workloads_of(self, *kinds: str) -> list[Workload]:
        """Return the workloads of some kinds."""
        return [workload for workload in self.workloads if workload.kind in kinds]

    @cached_property
    def containers(self) -> list[Container]:
        """Every container, init containers included."""
        return [container for workload in self.workloads for container in workload.containers()]

    @cached_property
    def main_containers(self) -> list[Container]:
        """The main containers of what runs until it is replaced."""
        return [item for work in self.workloads if work.long_running for item in work.containers(main=True)]

    def selected(self, selector: object, namespace: str) -> list[Workload]:
        """Return the workloads whose pods a LabelSelector in a namespace selects."""
        labels = access.mapping(selector, "matchLabels")
        return [
            workload
            for workload in (self._candidates(labels) if labels else self.workloads)
            if same_namespace(workload.manifest.namespace, namespace)
            and labels_match(selector, workload.selectable(labels))
        ]

    def behind(self, service: Manifest) -> list[Workload]:
        """Return the workloads whose pods a Service selects; a Service without a selector selects none."""
        selector = access.mapping(service.data, "spec", "selector")
        return self.selected({"matchLabels": selector}, service.namespace) if selector else []

    @cached_property
    def services(self) -> list[Manifest]:
        """The Services."""
        return self.of("", "Service")

    def services_of(self, workload: Workload) -> list[Manifest]:
        """The Services that select the workload's pods."""
        return [service for service in self.services if workload in self.behind(service)]

    @cached_property
    def served(self) -> set[int]:
        """The ids of the manifests whose pods a Service selects."""
        return {id(workload.manifest) for service in self.services for workload in self.behind(service)}

    @cached_property
    def _autoscalers(self) -> dict[tuple[str, str], list[Manifest]]:
        scalers = self.of("autoscaling", "HorizontalPodAutoscaler")
        targets = ((access.mapping(scaler.data, "spec", "scaleTargetRef"), scaler) for scaler in scalers)
        return access.grouped(
            ((access.text(target, "kind"), access.text(target, "name")), scaler) for target, scaler in targets
        )

    def autoscaler(self, workload: Workload) -> Manifest | None:
        """Return the HPA that scales the workload, None where there is none."""
        for scaler in self._autoscalers.get((workload.kind, workload.manifest.name), ()):
            if same_namespace(scaler.namespace, workload.manifest.namespace):
                return scaler
        return None

    def least_replicas(self, workload: Workload) -> int:
        """Return how many pods the workload has at least: its HPA's minimum, else its replicas."""
        scaler = self.autoscaler(workload)
        if scaler is None:
            return workload.replicas
        least = access.whole(scaler.data, "spec", "minReplicas")
        return 1 if least is None else least

    @cached_property
    def _by_kind(self) -> dict[tuple[str, str], list[Manifest]]:
        return access.grouped(((manifest.group, manifest.kind), manifest) for manifest in self.manifests)

    def _candidates(self, labels: Mapping[str, Any]) -> list[Workload]:
        """Narrow by one label, so that selecting stays linear where many services meet many workloads."""
        key, value = min(labels.items(), key=lambda item: item[0] in _RUNTIME_LABELS)
        return self.workloads if key in _RUNTIME_LABELS else self._by_label.get((key, str(value)), [])

    @cached_property
    def _by_label(self) -> dict[tuple[str, str], list[Workload]]:
        labels = ((label, workload) for workload in self.workloads for label in workload.labels.items())
        return access.grouped(((key, str(value)), workload) for (key, value), workload in labels)


def same_namespace(one: str, other: str) -> bool:
    """Say whether two namespaces are the same; an object without one goes where it is applied to."""
    return not one or not other or one == other
