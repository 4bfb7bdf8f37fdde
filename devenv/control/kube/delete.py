"""Delete objects: what goes with them is found out before, and what they wait for is said until they are gone.

What a claim's or a volume's data become: https://kubernetes.io/docs/concepts/storage/persistent-volumes/#reclaiming
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import Conflict, Forbidden, KubeError, NotFound, Unauthorized, Unreachable
from devenv.backends.kube.kinds import (
    CONFIG_MAPS,
    KNOWN,
    NAMESPACES,
    PODS,
    PVCS,
    PVS,
    SECRETS,
    STATEFUL_SETS,
    Kind,
    discover,
)
from devenv.backends.kube.pod import Pod, read_pod
from devenv.control.kube.change import Call, Impact, Ref, last_ready, losses_with, pods_in, ref_of, reworded
from devenv.core.errors import Interrupted, UsageError, WaitTimeout
from devenv.core.text import sanitize

_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
# Records of the system that come and go by themselves; nobody misses them.
_IGNORED = frozenset({"events", "leases", "controllerrevisions", "endpointslices", "endpoints"})
_IGNORED_GROUPS = frozenset({"metrics.k8s.io", "events.k8s.io", "authorization.k8s.io", "authentication.k8s.io"})


@dataclass(frozen=True, slots=True)
class Owned:
    """Objects that go with the ones deleted; `unread` are kinds that could not be looked at, with the reason."""

    refs: tuple[Ref, ...] = ()
    unread: tuple[str, ...] = ()

    def words(self) -> str:
        """Return "1 replicaset, 3 pods", or "" for nothing."""
        counts = Counter(ref.kind for ref in self.refs)
        return ", ".join(
            f"{count} {kind.name.lower() if count == 1 else kind.plural}" for kind, count in counts.items()
        )


def namespace_kinds(client: KubeClient) -> tuple[Kind, ...]:
    """Return the kinds that live in namespaces and matter to people, as discovery lists them."""
    known = {(kind.group, kind.plural): kind for kind in KNOWN}
    return tuple(
        known.get((kind.group, kind.plural), kind)
        for kind in discover(client)
        if kind.namespaced and kind.plural not in _IGNORED and kind.group not in _IGNORED_GROUPS
    )


def contents(client: KubeClient, namespace: str) -> tuple[list[tuple[Kind, dict[str, Any]]], tuple[str, ...]]:
    """Return the metadata of all objects in a namespace, and which kinds could not be read.

    Raises Unreachable and Unauthorized.
    """
    items: list[tuple[Kind, dict[str, Any]]] = []
    unread: list[str] = []
    for kind in namespace_kinds(client):
        query: dict[str, object] = {"limit": 500}
        try:
            while True:
                page = client.request("GET", kind.path(namespace), query=query, accept=_METADATA)
                items += [(kind, item) for item in page.get("items") or ()]
                query["continue"] = (page.get("metadata") or {}).get("continue") or ""
                if not query["continue"]:
                    break
        except (Unreachable, Unauthorized):
            raise
        except KubeError as error:
            if error.status not in (404, 405):  # some kinds can only be created (reviews, bindings)
                unread.append(f"{kind.full_name}: {error.message}")
    return items, tuple(unread)


def find_owned(client: KubeClient, owners: Sequence[Mapping[str, Any]]) -> Owned:
    """Return what the owners (objects with metadata) own in their namespaces; raises Unreachable, Unauthorized."""
    namespaces = dict.fromkeys(str(item["metadata"].get("namespace") or "") for item in owners)
    refs: list[Ref] = []
    unread: list[str] = []
    for namespace in namespaces:
        if not namespace:
            continue  # what an object without a namespace owns is rare, and every namespace would have to be read
        items, problems = contents(client, namespace)
        unread += problems
        refs += _descendants(items, (str(item["metadata"].get("uid")) for item in owners))
    return Owned(tuple(refs), tuple(unread))


def _descendants(items: Iterable[tuple[Kind, dict[str, Any]]], roots: Iterable[str]) -> list[Ref]:
    by_owner: defaultdict[str, list[tuple[Kind, dict[str, Any]]]] = defaultdict(list)
    for kind, item in items:
        for owner in item["metadata"].get("ownerReferences") or ():
            by_owner[str(owner.get("uid"))].append((kind, item))
    owned: dict[str, Ref] = {}
    todo = list(roots)
    while todo:
        for kind, item in by_owner.get(todo.pop(), ()):
            metadata = item["metadata"]
            uid = str(metadata.get("uid"))
            if uid not in owned:
                owned[uid] = Ref(kind, str(metadata.get("namespace") or ""), str(metadata["name"]))
                todo.append(uid)
    return list(owned.values())


def users_of(client: KubeClient, ref: Ref) -> list[str]:
    """Return the names of the pods that name the object in volumes or environment; none for other kinds."""
    if ref.kind not in (CONFIG_MAPS, SECRETS, PVCS):
        return []
    pods, _ = client.list(PODS, ref.namespace)
    return [sanitize(f"pod/{pod['metadata']['name']}") for pod in pods if (ref.kind.name, ref.name) in set(_uses(pod))]


def _uses(pod: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    spec = pod.get("spec") or {}
    for volume in spec.get("volumes") or ():
        sources = [volume, *((volume.get("projected") or {}).get("sources") or ())]
        for source in sources:
            yield "ConfigMap", str((source.get("configMap") or {}).get("name"))
            secret = source.get("secret") or {}
            yield "Secret", str(secret.get("secretName") or secret.get("name"))
        yield "PersistentVolumeClaim", str((volume.get("persistentVolumeClaim") or {}).get("claimName"))
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        for entry in container.get("env") or ():
            source = entry.get("valueFrom") or {}
            yield "ConfigMap", str((source.get("configMapKeyRef") or {}).get("name"))
            yield "Secret", str((source.get("secretKeyRef") or {}).get("name"))
        for entry in container.get("envFrom") or ():
            yield "ConfigMap", str((entry.get("configMapRef") or {}).get("name"))
            yield "Secret", str((entry.get("secretRef") or {}).get("name"))
    for entry in spec.get("imagePullSecrets") or ():
        yield "Secret", str(entry.get("name"))


@dataclass(frozen=True, slots=True)
class VolumeFate:
    """One claim: `lost` whether its data go with it (None: not known), and a sentence that says so."""

    claim: str
    lost: bool | None
    sentence: str


def fate_of_claim(client: KubeClient, claim: Mapping[str, Any]) -> VolumeFate:
    """Return what happens to the data of a PersistentVolumeClaim that is deleted; raises KubeError."""
    name = sanitize(str(claim["metadata"]["name"]))
    volume = str((claim.get("spec") or {}).get("volumeName") or "")
    size = str(((claim.get("status") or {}).get("capacity") or {}).get("storage") or "")
    about = f"claim {name} ({sanitize(size)})" if size else f"claim {name}"
    if not volume:
        return VolumeFate(name, False, f"{about} has no volume yet, so no data")
    try:
        item = client.get(PVS.path(name=volume))
    except Forbidden:
        return VolumeFate(name, None, f"{about}: you may not read its volume, so count its data as lost")
    except NotFound:
        return VolumeFate(name, False, f"{about}: its volume {sanitize(volume)} is gone already")
    return _fate(name, about, item)


def fate_of_volume(volume: Mapping[str, Any]) -> VolumeFate:
    """Return what happens to the data of a PersistentVolume that is deleted itself: its backing store stays."""
    name = sanitize(str(volume["metadata"]["name"]))
    return VolumeFate(name, False, f"volume {name}: the storage behind it stays, but nothing in the cluster names it")


def _fate(name: str, about: str, volume: Mapping[str, Any]) -> VolumeFate:
    shown = sanitize(str(volume["metadata"]["name"]))
    policy = (volume.get("spec") or {}).get("persistentVolumeReclaimPolicy")
    if policy == "Retain":
        return VolumeFate(name, False, f"{about}: its data stay on volume {shown} (reclaim policy Retain)")
    if policy == "Recycle":
        return VolumeFate(name, True, f"{about}: volume {shown} is emptied (reclaim policy Recycle)")
    return VolumeFate(name, True, f"{about}: volume {shown} and all data on it are deleted (reclaim policy Delete)")


PATIENCE = 60.0  # seconds to wait until the objects are gone
_PAUSE = 0.25
_PROPAGATION = {"background": "Background", "foreground": "Foreground", "orphan": "Orphan"}
_MADE_WITH_IT = ("kube-root-ca.crt", "default")  # its CA bundle and ServiceAccount: every namespace has them
_SYSTEM = ("default", "kube-system", "kube-public", "kube-node-lease")


def survey_delete(call: Call) -> Impact:
    """Say what goes: the objects, all that they own, pods with their local data, and volumes with or without theirs.

    Raises NotFound for an object that is not there, UsageError for a namespace of the system.
    """
    objects = [(ref, ref.read(call.client)) for ref in call.refs]
    sentences: list[str] = []
    fates: list[VolumeFate] = []
    orphan = call.options.get("cascade") == "orphan"
    for ref, item in objects:
        if ref.kind == NAMESPACES:
            said, claims = _of_namespace(call, ref)
            sentences += said
            fates += claims
        else:
            sentences += _of_object(call, ref, item)
        fates += [fate_of_claim(call.client, item)] if ref.kind == PVCS else []
        fates += [fate_of_volume(item)] if ref.kind == PVS else []
    pods = [read_pod(item) for ref, item in objects if ref.kind == PODS]
    for ref, _ in objects:
        pods += _read_pods(call, ref.name, sentences) if ref.kind == NAMESPACES else []
    if not orphan:
        owned = find_owned(call.client, [item for _, item in objects])
        if owned.refs:
            sentences.append(f"With them goes what they own: {owned.words()}.")
        fates += [fate_of_claim(call.client, ref.read(call.client)) for ref in owned.refs if ref.kind == PVCS]
        sentences += [f"Not looked at, so more may go: {text}" for text in owned.unread]
        names = {(ref.namespace, ref.name) for ref in owned.refs if ref.kind == PODS}
        for namespace in dict.fromkeys(namespace for namespace, _ in names):
            pods += [pod for pod in _read_pods(call, namespace, sentences) if (namespace, pod.name) in names]
    sentences += last_ready(call.client, pods)
    sentences += [f"{fate.sentence}." for fate in fates if fate.lost is False]
    lost = dict.fromkeys(fate.sentence for fate in fates if fate.lost is not False)
    losses = (*lost, *losses_with({pod.uid: pod for pod in pods}.values()))
    uids = ",".join(str(item["metadata"].get("uid")) for _, item in objects)
    return Impact(tuple(sentences), losses, confirm=True, options=(("uids", uids),))


def delete(call: Call) -> str:
    """Delete the objects and wait until they are gone, at most `timeout` seconds (option; 0: do not wait).

    Raises Conflict where an object was made anew since it was planned, WaitTimeout with what holds it, Interrupted.
    """
    uids = [uid for uid in call.options.get("uids", "").split(",") if uid]
    for place, ref in enumerate(call.refs):
        body: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": _PROPAGATION[call.options.get("cascade") or "background"],
        }
        if place < len(uids):
            body["preconditions"] = {"uid": uids[place]}
        if call.options.get("grace"):
            body["gracePeriodSeconds"] = int(call.options["grace"])
        try:
            call.client.request("DELETE", ref.path(), body=body)
        except NotFound:
            call.step(ref, "Gone already")
            continue
        except Conflict as error:
            message = f"{ref.text} was created again after this was planned: it was not deleted"
            raise reworded(error, message, "Look at the new one, and ask again.") from error
        call.step(ref, "Deleting", "working")
    _await(call, uids)
    return ""


def _await(call: Call, uids: list[str]) -> None:
    patience = float(call.options.get("timeout") or PATIENCE) if call.options.get("timeout") != "0" else 0.0
    deadline = time.monotonic() + patience
    for place, ref in enumerate(call.refs):
        while patience:
            try:
                item = call.client.get(ref.path())
            except NotFound:
                break
            if place < len(uids) and item["metadata"].get("uid") != uids[place]:
                break  # another one of its name is there already, as with the pods of a StatefulSet
            held = _held_by(item)
            call.step(ref, "Deleting", "working", held)
            if time.monotonic() >= deadline:
                raise WaitTimeout(f"{ref.text} is still there after {patience:.0f} s: {held}", "It is being deleted.")
            if call.stop.wait(_PAUSE):
                raise Interrupted(f"{ref.text} is still being deleted: {held}")
        call.step(ref, "Deleted")


def _held_by(item: Mapping[str, Any]) -> str:
    metadata = item["metadata"]
    finalizers = [str(name) for name in metadata.get("finalizers") or ()]
    conditions = (item.get("status") or {}).get("conditions") or ()
    messages = [str(one.get("message")) for one in conditions if str(one.get("reason")) == "SomeFinalizersRemain"]
    if messages or finalizers:
        return sanitize("; ".join(messages) or f"held by {', '.join(finalizers)}")
    grace = metadata.get("deletionGracePeriodSeconds")
    return f"it has {grace} s to end" if grace else "its deletion was not begun yet"


def _of_object(call: Call, ref: Ref, item: Mapping[str, Any]) -> list[str]:
    sentences = [f"Deletes {ref.text}."]
    maker = _maker(item)
    if maker:
        sentences.append(f"Its {maker} makes another one in its place.")
    finalizers = item["metadata"].get("finalizers") or ()
    if finalizers:
        sentences.append(sanitize(f"{ref.text} stays until {', '.join(map(str, finalizers))} lets it go."))
    if ref.kind == STATEFUL_SETS:
        sentences += _kept_claims(call, item)
    if call.options.get("cascade") == "orphan":
        sentences.append("What it owns stays, without an owner.")
    users = users_of(call.client, ref)
    if users:
        sentences.append(f"In use by {', '.join(users[:5])}{' and more' if len(users) > 5 else ''}.")
    return sentences


def _of_namespace(call: Call, ref: Ref) -> tuple[list[str], list[VolumeFate]]:
    if ref.name in _SYSTEM:
        raise UsageError(f"devenv does not delete the namespace {ref.name}", "The cluster itself runs in it.")
    items, unread = contents(call.client, ref.name)
    named = [(kind, item) for kind, item in items if item["metadata"]["name"] not in _MADE_WITH_IT]
    listed = Owned(tuple(ref_of(item, kind) for kind, item in named)).words() or "nothing else"
    sentences = [f"Deletes the namespace {ref.name} and everything in it: {listed}."]
    sentences += [f"Not looked at, so more may go: {text}" for text in unread]
    claims = [ref_of(item, kind).read(call.client) for kind, item in items if kind == PVCS]
    return sentences, [fate_of_claim(call.client, claim) for claim in claims]


def _kept_claims(call: Call, item: Mapping[str, Any]) -> list[str]:
    spec = item.get("spec") or {}
    policy = (spec.get("persistentVolumeClaimRetentionPolicy") or {}).get("whenDeleted", "Retain")
    names = [str(template["metadata"]["name"]) for template in spec.get("volumeClaimTemplates") or ()]
    if not names or policy != "Retain":
        return []
    prefix = tuple(f"{name}-{item['metadata']['name']}-" for name in names)
    claims = call.client.list(PVCS, item["metadata"]["namespace"])[0]
    kept = [claim["metadata"]["name"] for claim in claims if claim["metadata"]["name"].startswith(prefix)]
    return [sanitize(f"Its claims stay, with their data: {', '.join(kept)}.")] if kept else []


def _read_pods(call: Call, namespace: str, sentences: list[str]) -> list[Pod]:
    try:
        return pods_in(call.client, namespace)
    except Forbidden as error:
        sentences.append(f"The pods were not looked at, so local data may go: {error.message}")
        return []


def _maker(item: Mapping[str, Any]) -> str:
    owners = item["metadata"].get("ownerReferences") or ()
    return next((sanitize(f"{one['kind']} {one['name']}") for one in owners if one.get("controller")), "")
