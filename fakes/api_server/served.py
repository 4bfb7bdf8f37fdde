"""The kinds that are served: devenv's own, and more that people meet."""

from __future__ import annotations

from collections.abc import Iterable

from devenv.backends.kube.kinds import KNOWN, Kind
from fakes.api_server.status import Object, Refusal

MORE = (
    Kind("", "v1", "serviceaccounts", "ServiceAccount", short=("sa",)),
    Kind("", "v1", "resourcequotas", "ResourceQuota", short=("quota",)),
    Kind("", "v1", "limitranges", "LimitRange", short=("limits",)),
    Kind("rbac.authorization.k8s.io", "v1", "roles", "Role"),
    Kind("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding"),
    Kind("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False),
    Kind("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", short=("netpol",)),
    Kind("networking.k8s.io", "v1", "ingressclasses", "IngressClass", namespaced=False),
    Kind("storage.k8s.io", "v1", "storageclasses", "StorageClass", namespaced=False, short=("sc",)),
    Kind("coordination.k8s.io", "v1", "leases", "Lease"),
    Kind("events.k8s.io", "v1", "events", "Event", short=("ev",)),
)
SCALABLE = ("deployments.apps", "statefulsets.apps", "replicasets.apps")
METRICS = "metrics.k8s.io"


class Served:
    """The kinds of one server; `metrics` says whether metrics.k8s.io is there."""

    def __init__(self) -> None:
        self.kinds: list[Kind] = [*KNOWN, *MORE]
        self.metrics = True

    def all(self) -> list[Kind]:
        return [kind for kind in self.kinds if self.metrics or kind.group != METRICS]

    def add(self, kind: Kind) -> None:
        self.kinds.append(kind)

    def at(self, group: str, version: str, plural: str) -> Kind:
        for kind in self.all():
            if (kind.group, kind.version, kind.plural) == (group, version, plural):
                return kind
        raise Refusal(404, "the server could not find the requested resource", "NotFound")

    def of(self, content: Object) -> Kind:
        """Return the kind of an object by its apiVersion and kind."""
        for kind in self.kinds:
            if (kind.api, kind.name) == (content.get("apiVersion"), content.get("kind")):
                return kind
        raise LookupError(f"no such kind is served: {content.get('apiVersion')} {content.get('kind')}")

    def named(self, word: str | Kind) -> Kind:
        if isinstance(word, Kind):
            return word
        for kind in self.kinds:
            if word.lower() in (kind.plural, kind.name.lower(), kind.full_name):
                return kind
        raise LookupError(f"no such kind is served: {word}")


def document(segments: list[str], served: Served, aggregated: bool) -> Object:
    """Answer /api, /apis, /api/v1 and /apis/GROUP[/VERSION]; aggregated discovery where the client accepts it."""
    kinds = served.all()
    match segments:
        case [root] if aggregated:
            return _aggregated([kind for kind in kinds if bool(kind.group) == (root == "apis")])
        case ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"]}
        case ["apis"]:
            groups = dict.fromkeys((kind.group, kind.version) for kind in kinds if kind.group)
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(*pair) for pair in groups]}
        case ["apis", group]:
            found = next((kind for kind in kinds if kind.group == group), None)
            if found is not None:
                return {"kind": "APIGroup", "apiVersion": "v1", **_group(group, found.version)}
        case ["api", "v1"] | ["apis", _, _]:
            group, version = ("", "v1") if segments[0] == "api" else (segments[1], segments[2])
            found_kinds = [kind for kind in kinds if (kind.group, kind.version) == (group, version)]
            if found_kinds:
                return _resources(f"{group}/{version}".lstrip("/"), found_kinds)
    raise Refusal(404, "the server could not find the requested resource", "NotFound")


def _group(group: str, version: str) -> Object:
    told = {"groupVersion": f"{group}/{version}", "version": version}
    return {"name": group, "versions": [told], "preferredVersion": told}


def _resources(api: str, kinds: Iterable[Kind]) -> Object:
    resources: list[Object] = []
    for kind in kinds:
        about: Object = {"name": kind.plural, "singularName": kind.name.lower(), "namespaced": kind.namespaced}
        about |= {"kind": kind.name, "verbs": VERBS}
        if kind.short:
            about["shortNames"] = list(kind.short)
        resources.append(about)
        resources.append({"name": f"{kind.plural}/status", "namespaced": kind.namespaced, "kind": kind.name})
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api, "resources": resources}


def _aggregated(kinds: list[Kind]) -> Object:
    items = []
    for group, version in dict.fromkeys((kind.group, kind.version) for kind in kinds):
        resources = [
            {
                "resource": kind.plural,
                "responseKind": {"group": kind.group, "version": kind.version, "kind": kind.name},
                "scope": "Namespaced" if kind.namespaced else "Cluster",
                "singularResource": kind.name.lower(),
                "verbs": VERBS,
                "shortNames": list(kind.short),
            }
            for kind in kinds
            if (kind.group, kind.version) == (group, version)
        ]
        about = {"name": group} if group else {}
        items.append({"metadata": about, "versions": [{"version": version, "resources": resources}]})
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
