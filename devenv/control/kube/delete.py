"""Delete objects: what goes with them is found out before, and what they wait for is said until they are gone."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from devenv.backends.kube.errors import Conflict, Forbidden, NotFound
from devenv.backends.kube.kinds import NAMESPACES, PODS, PVCS, PVS, STATEFUL_SETS
from devenv.control.kube.impact import Call, Impact
from devenv.control.kube.owned import Owned, contents, find_owned
from devenv.control.kube.pod_losses import last_ready, losses_with
from devenv.control.kube.refs import Ref, ref_of
from devenv.control.kube.rewording import reworded
from devenv.control.kube.users import users_of
from devenv.control.kube.volumes import VolumeFate, fate_of_claim, fate_of_volume
from devenv.core.errors import Interrupted, UsageError, WaitTimeout
from devenv.core.text import sanitize

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
            told, claims = _of_namespace(call, ref)
            sentences += told
            fates += claims
        else:
            sentences += _of_object(call, ref, item)
        fates += [fate_of_claim(call.client, item)] if ref.kind == PVCS else []
        fates += [fate_of_volume(item)] if ref.kind == PVS else []
    pods = [item for ref, item in objects if ref.kind == PODS]
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
            found = _read_pods(call, namespace, sentences)
            pods += [pod for pod in found if (namespace, pod["metadata"]["name"]) in names]
    sentences += last_ready(call.client, pods)
    sentences += [f"{fate.sentence}." for fate in fates if fate.lost is False]
    lost = dict.fromkeys(fate.sentence for fate in fates if fate.lost is not False)
    losses = (*lost, *losses_with({str(pod["metadata"].get("uid")): pod for pod in pods}.values()))
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
            message = f"{ref.text} was made anew since this was planned: it was not deleted"
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
    told = [str(one.get("message")) for one in conditions if str(one.get("reason")) == "SomeFinalizersRemain"]
    if told or finalizers:
        return sanitize("; ".join(told) or f"held by {', '.join(finalizers)}")
    grace = metadata.get("deletionGracePeriodSeconds")
    return f"it has {grace} s to end" if grace else "its deletion was not begun yet"


def _of_object(call: Call, ref: Ref, item: Mapping[str, Any]) -> list[str]:
    found = [f"Deletes {ref.text}."]
    maker = _maker(item)
    if maker:
        found.append(f"Its {maker} makes another one in its place.")
    finalizers = item["metadata"].get("finalizers") or ()
    if finalizers:
        found.append(sanitize(f"{ref.text} stays until {', '.join(map(str, finalizers))} lets it go."))
    if ref.kind == STATEFUL_SETS:
        found += _kept_claims(call, item)
    if call.options.get("cascade") == "orphan":
        found.append("What it owns stays, without an owner.")
    users = users_of(call.client, ref)
    if users:
        found.append(f"In use by {', '.join(users[:5])}{' and more' if len(users) > 5 else ''}.")
    return found


def _of_namespace(call: Call, ref: Ref) -> tuple[list[str], list[VolumeFate]]:
    if ref.name in _SYSTEM:
        raise UsageError(f"devenv does not delete the namespace {ref.name}", "The cluster itself lives in it.")
    items, unread = contents(call.client, ref.name)
    named = [(kind, item) for kind, item in items if item["metadata"]["name"] not in _MADE_WITH_IT]
    listed = Owned(tuple(ref_of(item, kind) for kind, item in named)).words() or "nothing else"
    found = [f"Deletes the namespace {ref.name} and everything in it: {listed}."]
    found += [f"Not looked at, so more may go: {text}" for text in unread]
    claims = [ref_of(item, kind).read(call.client) for kind, item in items if kind == PVCS]
    return found, [fate_of_claim(call.client, claim) for claim in claims]


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


def _read_pods(call: Call, namespace: str, sentences: list[str]) -> list[dict[str, Any]]:
    try:
        return call.client.list(PODS, namespace)[0]
    except Forbidden as error:
        sentences.append(f"The pods were not looked at, so local data may go: {error.message}")
        return []


def _maker(item: Mapping[str, Any]) -> str:
    owners = item["metadata"].get("ownerReferences") or ()
    return next((sanitize(f"{one['kind']} {one['name']}") for one in owners if one.get("controller")), "")
