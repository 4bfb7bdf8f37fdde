"""Going back after a failure: to the last revision that succeeded, else to what ran before; it is proven to serve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from devenv.control.deploy.images import running_digests
from devenv.control.deploy.lock import Ledger
from devenv.control.deploy.outcome import Failure, Prover, Status, Verdict
from devenv.control.deploy.prepare import workloads_of
from devenv.control.deploy.revisions import LocalRevisions, Revision, trusted
from devenv.control.deploy.run import Object, Site
from devenv.control.kube.wait import look
from devenv.core.errors import DevenvError


@dataclass(frozen=True, slots=True)
class WayBack:
    """What is applied to go back, what shall run then, and how it is called; no objects: there is no way back."""

    name: str = ""
    objects: tuple[dict[str, Any], ...] = ()
    digests: Mapping[str, str] | None = None
    revision: Revision | None = None

    @property
    def exists(self) -> bool:
        """Whether there is one."""
        return bool(self.objects)


def last_good(
    ledger: Ledger, local: LocalRevisions, rendered: Sequence[Mapping[str, Any]], namespace: str
) -> Revision | None:
    """Return the last revision that succeeded: the cluster knows which, this machine's copy of it is preferred."""
    in_cluster = ledger.last()
    here = local.find(in_cluster.id) if in_cluster is not None else local.newest()
    if here is not None:
        return here
    return trusted(in_cluster, rendered, namespace) if in_cluster is not None else None


def way_back(
    good: Revision | None,
    rendered: Sequence[Mapping[str, Any]],
    before: Mapping[tuple[str, str, str], Mapping[str, Any]],
    digests_before: Mapping[str, str],
) -> WayBack:
    """Choose: a recorded revision with all its objects, else each Deployment's pod template as it was before.

    `before` has the live workloads as they were. A template of before finds its old ReplicaSet, as `kubectl rollout
    undo` does; it is applied inside the rendered object, so that the fields keep their one owner.
    """
    if good is not None and good.objects:
        return WayBack(f"revision {good.id}", good.objects, good.digests, good)
    found = []
    for item in rendered:
        metadata = item.get("metadata") or {}
        live = before.get(("deployment", str(metadata.get("namespace", "")), str(metadata.get("name", ""))))
        if item.get("kind") == "Deployment" and live is not None:
            copy = deepcopy(dict(item))
            copy["spec"]["template"] = deepcopy(dict((live.get("spec") or {}).get("template") or {}))
            found.append(copy)
    return WayBack("what ran before", tuple(found), digests_before) if found else WayBack()


_FIRST = "nothing ran before: there is no way back"


def look_back(site: Site, objects: Sequence[Object], good: Revision | None, prover: Prover | None) -> WayBack:
    """Find the way back before anything is changed, and leave data behind that has to be there afterwards."""
    if prover is None and not site.wish.rollback:
        return WayBack()
    with site.stages.stage("look back") as note:
        seen = look(site.rig.client, workloads_of(objects))
        back = way_back(good, objects, seen.objects, running_digests(seen.pods)) if seen.objects else WayBack()
        if site.wish.rollback:
            note.text = f"on a failure to {back.name}" if back.exists else _FIRST
        if prover is not None and seen.objects:
            check = prover.prepare()
            note.details.append(f"{check.name}: {check.text}")
    return back


def go_back(site: Site, failure: Failure, back: WayBack, prover: Prover | None) -> None:
    """Roll back where it is wished and possible, and give the verdict."""
    if not site.wish.rollback:
        site.end(Verdict.FAILED, str(failure), failure.hint or "It is left as it is. --rollback-on-failure goes back.")
        return
    if not back.exists:
        site.stages.skip("roll back", _FIRST)
        site.end(Verdict.FAILED, str(failure), failure.hint or "It is left as it is: nothing ran before it.")
        return
    try:
        site.apply("roll back", back.objects, force=True)
        stuck = site.wait("wait for it", back.objects)
    except DevenvError as error:
        site.end(Verdict.FAILED, f"{failure}. Going back to {back.name} failed too: {error.message}", error.hint)
        return
    site.set(restored=back.revision.id if back.revision else back.name)
    if stuck is not None:
        verdict = Verdict.INCONCLUSIVE if stuck.lost else Verdict.FAILED
        site.end(verdict, f"{failure}. Going back to {back.name} failed too: {stuck}", failure.hint)
        return
    # Without endpoints in devenv.toml the digests and the pods' own probes are all that can be asked.
    proof = site.prove("prove it", back.objects, prover, back.digests, ())
    site.set(rollback_proof=proof)
    if proof.status is Status.FAILED:
        site.end(Verdict.FAILED, f"{failure}. {back.name} is back and does not serve: {proof.text}", failure.hint)
    elif proof.status is Status.INCONCLUSIVE:
        text = f"{failure}. {back.name} is back, and that it serves is not proven: {proof.text}"
        site.end(Verdict.INCONCLUSIVE, text, failure.hint)
    else:
        site.end(Verdict.ROLLED_BACK, f"{failure}. Rolled back: {back.name} serves again", failure.hint)
