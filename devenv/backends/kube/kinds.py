"""The kinds of objects: where the API serves each, the ones that devenv knows, and all others by discovery."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final, Protocol
from urllib.parse import quote

from devenv.backends.kube.errors import KubeError, NotFound
from devenv.core.text import sanitize

_DISCOVERY: Final = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"


class Reader(Protocol):
    """What discovery asks of a connection; both raise KubeError."""

    def request(self, method: str, path: str, *, accept: str = "application/json") -> Any:
        """Send one request and return the decoded answer."""

    def get(self, path: str) -> Any:
        """Read one thing."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object as the API serves it; `plural` is its word in paths, `short` are what kubectl accepts too."""

    group: str
    version: str
    plural: str
    name: str
    namespaced: bool = True
    short: tuple[str, ...] = ()

    @property
    def api(self) -> str:
        """`apiVersion` of its objects: "v1", "apps/v1"."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def full_name(self) -> str:
        """Its name that no other kind has: "deployments.apps", "pods"."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str | None = None, name: str = "", sub: str = "") -> str:
        """Return the path of the list (all namespaces where None), of one object, or of a subresource of it."""
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if self.namespaced and namespace is not None:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name:
            parts.append(quote(name, safe=""))
            if sub:
                parts.append(sub)
        return "/" + "/".join(parts)


PODS: Final = Kind("", "v1", "pods", "Pod", short=("po",))
SERVICES: Final = Kind("", "v1", "services", "Service", short=("svc",))
EVENTS: Final = Kind("", "v1", "events", "Event", short=("ev",))
CONFIG_MAPS: Final = Kind("", "v1", "configmaps", "ConfigMap", short=("cm",))
SECRETS: Final = Kind("", "v1", "secrets", "Secret")
PVCS: Final = Kind("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", short=("pvc",))
PVS: Final = Kind("", "v1", "persistentvolumes", "PersistentVolume", namespaced=False, short=("pv",))
NODES: Final = Kind("", "v1", "nodes", "Node", namespaced=False, short=("no",))
NAMESPACES: Final = Kind("", "v1", "namespaces", "Namespace", namespaced=False, short=("ns",))
DEPLOYMENTS: Final = Kind("apps", "v1", "deployments", "Deployment", short=("deploy",))
REPLICA_SETS: Final = Kind("apps", "v1", "replicasets", "ReplicaSet", short=("rs",))
STATEFUL_SETS: Final = Kind("apps", "v1", "statefulsets", "StatefulSet", short=("sts",))
DAEMON_SETS: Final = Kind("apps", "v1", "daemonsets", "DaemonSet", short=("ds",))
JOBS: Final = Kind("batch", "v1", "jobs", "Job")
CRON_JOBS: Final = Kind("batch", "v1", "cronjobs", "CronJob", short=("cj",))
HPAS: Final = Kind("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", short=("hpa",))
ENDPOINT_SLICES: Final = Kind("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
INGRESSES: Final = Kind("networking.k8s.io", "v1", "ingresses", "Ingress", short=("ing",))
PDBS: Final = Kind("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", short=("pdb",))
POD_METRICS: Final = Kind("metrics.k8s.io", "v1beta1", "pods", "PodMetrics")
NODE_METRICS: Final = Kind("metrics.k8s.io", "v1beta1", "nodes", "NodeMetrics", namespaced=False)

KNOWN: Final[tuple[Kind, ...]] = (
    PODS,
    DEPLOYMENTS,
    REPLICA_SETS,
    STATEFUL_SETS,
    DAEMON_SETS,
    JOBS,
    CRON_JOBS,
    HPAS,
    SERVICES,
    ENDPOINT_SLICES,
    INGRESSES,
    PVCS,
    PVS,
    EVENTS,
    NODES,
    NAMESPACES,
    CONFIG_MAPS,
    SECRETS,
    PDBS,
    POD_METRICS,
    NODE_METRICS,
)


def discover(client: Reader) -> tuple[Kind, ...]:
    """Return every kind that the cluster serves, core kinds first; raises KubeError.

    Two requests where the server aggregates discovery (Kubernetes 1.27 and later), else one a group version; a group
    whose own server is away (a broken metrics.k8s.io) is left out.
    """
    kinds: list[Kind] = []
    for root in ("/api", "/apis"):
        answer = client.request("GET", root, accept=_DISCOVERY)
        if answer.get("kind") == "APIGroupDiscoveryList":
            kinds += _aggregated(answer)
        elif root == "/api":
            for version in answer.get("versions") or ():
                kinds += _listed(client.get(f"/api/{version}"), "", version)
        else:
            for group in answer.get("groups") or ():
                kinds += _group(client, group)
    return tuple(kinds)


def find_kind(word: str, kinds: Iterable[Kind]) -> Kind:
    """Return the kind that the word names as kubectl reads it: pods, pod, po, Deployment, deployments.apps.

    Raises NotFound with near names. Of several groups the first in order wins, as with kubectl.
    """
    kinds = tuple(kinds)
    sought = word.strip().lower()
    plain = (kind for kind in kinds if kind.group != "metrics.k8s.io")
    for kind in (*plain, *kinds):
        names = {kind.plural, kind.name.lower(), kind.full_name, f"{kind.name.lower()}.{kind.group}", *kind.short}
        if sought in names:
            return kind
    near = get_close_matches(sought, {name for kind in kinds for name in (kind.plural, kind.name.lower())}, n=3)
    hint = f"Did you mean {' or '.join(near)}?" if near else "`kubectl api-resources` lists what the cluster serves."
    raise NotFound(f"The cluster serves no kind of object called {sanitize(word)!r}", hint, status=404)


def _aggregated(answer: dict[str, Any]) -> list[Kind]:
    kinds = []
    for group in answer.get("items") or ():
        name = group.get("metadata", {}).get("name", "")
        seen: set[str] = set()
        for version in group.get("versions") or ():  # the preferred one first
            for resource in version.get("resources") or ():
                if resource["resource"] in seen:
                    continue
                seen.add(resource["resource"])
                kinds.append(
                    Kind(
                        name,
                        version["version"],
                        resource["resource"],
                        (resource.get("responseKind") or {}).get("kind", ""),
                        resource.get("scope") == "Namespaced",
                        tuple(resource.get("shortNames") or ()),
                    )
                )
    return kinds


def _group(client: Reader, group: dict[str, Any]) -> list[Kind]:
    version = (group.get("preferredVersion") or {}).get("version", "")
    try:
        return _listed(client.get(f"/apis/{group['name']}/{version}"), group["name"], version)
    except KubeError as error:
        if error.status in (404, 503):
            return []
        raise


def _listed(answer: dict[str, Any], group: str, version: str) -> list[Kind]:
    return [
        Kind(
            resource.get("group") or group,
            resource.get("version") or version,
            resource["name"],
            resource.get("kind", ""),
            bool(resource.get("namespaced")),
            tuple(resource.get("shortNames") or ()),
        )
        for resource in answer.get("resources") or ()
        if "/" not in resource["name"]
    ]
