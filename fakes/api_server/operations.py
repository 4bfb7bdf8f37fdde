"""Create, replace, patch, apply and delete as the API server does them: checks, generations, owners, finalizers."""

from __future__ import annotations

import copy
import secrets
from collections.abc import Callable
from typing import Any

from devenv.backends.kube.kinds import NAMESPACES, Kind
from fakes.api_server import managed, patches
from fakes.api_server.served import Served
from fakes.api_server.status import Object, Refusal, already_exists, changed_meanwhile, invalid, not_found
from fakes.api_server.store import Store, now

Admission = Callable[
    [str, Kind, Object], None
]  # (CREATE or UPDATE or DELETE, kind, object); refuses by raising Refusal
SELECTING = ("deployments.apps", "replicasets.apps", "statefulsets.apps", "daemonsets.apps")


class Operations:
    """What may be done to the objects of one store. `admission` are asked before each change, in order."""

    def __init__(self, store: Store, served: Served) -> None:
        self.store = store
        self.served = served
        self.admission: list[Admission] = []

    def read(self, kind: Kind, namespace: str, name: str) -> Object:
        entry = self.store.get(kind, namespace, name)
        if entry is None:
            raise not_found(kind, name)
        return copy.deepcopy(entry.content)

    def create(self, kind: Kind, namespace: str, content: Object, manager: str, *, dry_run: bool = False) -> Object:
        self._check_body(kind, content)
        about = content.setdefault("metadata", {})
        if not about.get("name"):
            if not about.get("generateName"):
                raise invalid(kind, "", [("metadata.name", "Required value: name or generateName is required")])
            about["name"] = about["generateName"] + secrets.token_hex(3)[:5]
        self._place(kind, namespace, content)
        with self.store.changed:
            if self.store.get(kind, about.get("namespace", ""), about["name"]) is not None:
                raise already_exists(kind, about["name"])
            for name in ("uid", "resourceVersion", "creationTimestamp"):
                about.pop(name, None)
            managed.record_update(None, content, manager)
            return self._write("CREATE", kind, content, None, dry_run)

    def replace(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        content: Object,
        manager: str,
        *,
        sub: str = "",
        dry_run: bool = False,
    ) -> Object:
        """Replace it whole, or only its status; a resource version in it must be the newest."""
        self._check_body(kind, content)
        with self.store.changed:
            before = self.read(kind, namespace, name)
            version = content.get("metadata", {}).get("resourceVersion")
            if version and version != before["metadata"]["resourceVersion"]:
                raise changed_meanwhile(kind, name)
            if sub == "status":
                content = {**copy.deepcopy(before), "status": content.get("status", {})}
            elif "status" in before:
                content = {**content, "status": before["status"]}
            content["metadata"].setdefault("name", name)
            self._place(kind, namespace, content)
            content["metadata"].pop("managedFields", None)
            managed.record_update(before, content, manager, sub)
            return self._write("UPDATE", kind, content, before, dry_run)

    def patch(
        self, kind: Kind, namespace: str, name: str, patch: Any, media: str, query: dict[str, str], *, sub: str = ""
    ) -> Object:
        """Patch by the media type; `query` has fieldManager, force and dryRun."""
        dry_run = "dryRun" in query
        with self.store.changed:
            if media == "application/apply-patch+yaml":
                return self._apply(kind, namespace, name, patch, query, sub)
            before = self.read(kind, namespace, name)
            match media:
                case "application/merge-patch+json":
                    content = patches.merge(before, patch)
                case "application/strategic-merge-patch+json":
                    content = patches.strategic(before, patch)
                case "application/json-patch+json":
                    content = patches.json_patch(before, patch)
                case _:
                    raise Refusal(415, f"the body of the request was in an unknown format - {media}")
            manager = query.get("fieldManager") or "unknown"
            version = patch.get("metadata", {}).get("resourceVersion") if isinstance(patch, dict) else None
            content["metadata"]["resourceVersion"] = version or before["metadata"]["resourceVersion"]
            return self.replace(kind, namespace, name, content, manager, sub=sub, dry_run=dry_run)

    def delete(self, kind: Kind, namespace: str, name: str, options: Object, *, dry_run: bool = False) -> Object:
        """Delete it, or mark it while finalizers or a grace period hold it; what it owns goes by propagationPolicy."""
        with self.store.changed:
            content = self.read(kind, namespace, name)
            about = content["metadata"]
            wanted = options.get("preconditions") or {}
            if any(wanted.get(key, about[key]) != about[key] for key in ("uid", "resourceVersion")):
                raise changed_meanwhile(kind, name)
            self._admit("DELETE", kind, content)
            if dry_run:
                return content
            if about.get("finalizers"):
                if "deletionTimestamp" not in about:
                    about["deletionTimestamp"] = now()
                    content = self.store.write(kind, content).content
                return content
            self.remove(kind, content, options.get("propagationPolicy") or "Background")
            return content

    def remove(self, kind: Kind, content: Object, propagation: str = "Background") -> None:
        """Take it out of the store with what it owns, and a namespace with all that is in it."""
        about = content["metadata"]
        self.store.remove(kind, about.get("namespace", ""), about["name"])
        for full_name, entry in self.store.everything():
            other = self.served.named(full_name)
            owners = entry.content["metadata"].get("ownerReferences") or []
            inside = kind == NAMESPACES and entry.content["metadata"].get("namespace") == about["name"]
            if any(owner.get("uid") == about["uid"] for owner in owners):
                if propagation == "Orphan":
                    left = [owner for owner in owners if owner.get("uid") != about["uid"]]
                    freed = copy.deepcopy(entry.content)
                    freed["metadata"]["ownerReferences"] = left
                    self.store.write(other, freed)
                    continue
                inside = True
            if inside and self.store.get(other, entry.content["metadata"].get("namespace", ""), _name(entry.content)):
                self.remove(other, entry.content)

    def _apply(
        self, kind: Kind, namespace: str, name: str, wanted: Object, query: dict[str, str], sub: str = ""
    ) -> Object:
        manager = query.get("fieldManager")
        if not manager:
            causes = [("fieldManager", "Required value: is required for apply patch")]
            raise invalid(kind, name, causes)
        self._check_body(kind, wanted)
        wanted.setdefault("metadata", {}).setdefault("name", name)
        if wanted["metadata"]["name"] != name:
            raise Refusal(
                400, f"the name of the object ({wanted['metadata']['name']}) does not match the name on the URL"
            )
        self._place(kind, namespace, wanted)
        if wanted["metadata"].get("managedFields"):
            raise Refusal(400, "metadata.managedFields must be nil")
        wanted["metadata"].pop("resourceVersion", None)
        entry = self.store.get(kind, wanted["metadata"].get("namespace", ""), name)
        before = copy.deepcopy(entry.content) if entry else None
        made = managed.apply(before, wanted, manager, force=query.get("force") == "true")
        return self._write("UPDATE" if before else "CREATE", kind, made, before, "dryRun" in query)

    def _write(self, word: str, kind: Kind, content: Object, before: Object | None, dry_run: bool) -> Object:
        _default(kind, content)
        _validate(kind, content, before)
        self._admit(word, kind, content)
        about = content["metadata"]
        if dry_run:
            if "spec" in content:
                same = before is not None and before.get("spec") == content["spec"]
                old = (before or {}).get("metadata", {}).get("generation", 0)
                about["generation"] = max(old, 1) if same else old + 1
            about.setdefault("uid", secrets.token_hex(16))
            about.setdefault("creationTimestamp", now())
            about.setdefault("resourceVersion", str(self.store.version))
            return content
        written = self.store.write(kind, content).content
        if about.get("deletionTimestamp") and not about.get("finalizers"):
            self.remove(kind, written)
        return copy.deepcopy(written)

    def _admit(self, word: str, kind: Kind, content: Object) -> None:
        for ask in self.admission:
            ask(word, kind, content)

    def _check_body(self, kind: Kind, content: Object) -> None:
        told = (content.get("apiVersion", kind.api), content.get("kind", kind.name))
        if told != (kind.api, kind.name):
            message = f"the API version in the data ({told[0]}, {told[1]}) does not match ({kind.api}, {kind.name})"
            raise Refusal(400, message)
        content["apiVersion"], content["kind"] = kind.api, kind.name

    def _place(self, kind: Kind, namespace: str, content: Object) -> None:
        about = content["metadata"]
        if not kind.namespaced:
            about.pop("namespace", None)
            return
        if about.setdefault("namespace", namespace) != namespace:
            raise Refusal(400, "the namespace of the provided object does not match the namespace sent on the request")
        if self.store.get(NAMESPACES, "", namespace) is None:
            raise not_found(NAMESPACES, namespace)


def _name(content: Object) -> str:
    name: str = content["metadata"]["name"]
    return name


def _default(kind: Kind, content: Object) -> None:
    """Fill in the few defaults that readers and diffs depend on."""
    spec = content.get("spec")
    if not isinstance(spec, dict):
        return
    if kind.full_name in ("deployments.apps", "statefulsets.apps", "replicasets.apps"):
        spec.setdefault("replicas", 1)
    if kind.full_name == "deployments.apps":
        spec.setdefault("progressDeadlineSeconds", 600)
        spec.setdefault("revisionHistoryLimit", 10)
        strategy = spec.setdefault("strategy", {})
        if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
            rolling = strategy.setdefault("rollingUpdate", {})
            rolling.setdefault("maxSurge", "25%")
            rolling.setdefault("maxUnavailable", "25%")


def _validate(kind: Kind, content: Object, before: Object | None) -> None:
    name = content["metadata"]["name"]
    spec = content.get("spec") or {}
    if kind.full_name in SELECTING:
        selector = spec.get("selector")
        if not selector:
            raise invalid(kind, name, [("spec.selector", "Required value")])
        if before is not None and before["spec"].get("selector") != selector:
            raise invalid(kind, name, [("spec.selector", "Invalid value: field is immutable")])
        labels = (spec.get("template", {}).get("metadata") or {}).get("labels") or {}
        if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
            causes = [("spec.template.metadata.labels", "Invalid value: `selector` does not match template `labels`")]
            raise invalid(kind, name, causes)
        if not isinstance(spec.get("replicas", 1), int) or spec.get("replicas", 1) < 0:
            raise invalid(kind, name, [("spec.replicas", "Invalid value: must be greater than or equal to 0")])
