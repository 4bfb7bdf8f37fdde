"""Going back after a failure: to the last revision that succeeded, else to what ran before; it is proven to serve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from devenv.control.deploy.images import running_digests
from devenv.control.deploy.lock import DeploymentRecord
from devenv.control.deploy.outcome import Failure, Prover, Status, Verdict
from devenv.control.deploy.prepare import workloads_of
from devenv.control.deploy.revisions import LocalRevisions, Revision, trusted
from devenv.control.deploy.run import Object, Run
from devenv.control.kube.wait import look
from devenv.core.errors import DevenvError

_FIRST = "nothing ran before: there is no way back"


@dataclass(frozen=True, slots=True)
class RollbackTarget:
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
    record: DeploymentRecord, local: LocalRevisions, rendered: Sequence[Mapping[str, Any]], namespace: str
) -> Revision | None:
    """Return the last revision that succeeded: the cluster knows which, this machine's copy of it is preferred."""
    in_cluster = record.last()
    here = local.find(in_cluster.id) if in_cluster is not None else local.newest()
    if here is not None:
        return here
    return trusted(in_cluster, rendered, namespace) if in_cluster is not None else None


def choose_target(
    good: Revision | None,
    rendered: Sequence[Mapping[str, Any]],
    before: Mapping[tuple[str, str, str], Mapping[str, Any]],
    digests_before: Mapping[str, str],
) -> RollbackTarget:
    """Choose: a recorded revision with all its objects, else each Deployment's pod template as it was before.

    `before` has the live workloads as they were. A template of before finds its old ReplicaSet, as `kubectl rollout
    undo` does; it is applied inside the rendered object, so that the fields keep their one owner.
    """
    if good is not None and good.objects:
        return RollbackTarget(f"revision {good.id}", good.objects, good.digests, good)
    copies = []
    for item in rendered:
        metadata = item.get("metadata") or {}
        live = before.get(("deployment", str(metadata.get("namespace", "")), str(metadata.get("name", ""))))
        if item.get("kind") == "Deployment" and live is not None:
            copy = deepcopy(dict(item))
            copy["spec"]["template"] = deepcopy(dict((live.get("spec") or {}).get("template") or {}))
            copies.append(copy)
    return RollbackTarget("what ran before", tuple(copies), digests_before) if copies else RollbackTarget()


def find_target(run: Run, objects: Sequence[Object], good: Revision | None, prover: Prover | None) -> RollbackTarget:
    """Find the way back before anything is changed, and leave data behind that has to be there afterwards."""
    if prover is None and not run.options.rollback:
        return RollbackTarget()
    with run.stages.stage("look back") as note:
        seen = look(run.services.client, workloads_of(objects))
        target = RollbackTarget()
        if seen.objects:
            target = choose_target(good, objects, seen.objects, running_digests(seen.pods))
        if run.options.rollback:
            note.text = f"on a failure to {target.name}" if target.exists else _FIRST
        if prover is not None and seen.objects:
            check = prover.prepare()
            note.details.append(f"{check.name}: {check.text}")
    return target


def roll_back(run: Run, failure: Failure, target: RollbackTarget, prover: Prover | None) -> None:
    """Roll back where that is asked for and possible, and give the verdict."""
    if not run.options.rollback:
        run.end(Verdict.FAILED, str(failure), failure.hint or "It is left as it is. --rollback-on-failure goes back.")
        return
    if not target.exists:
        run.stages.skip("roll back", _FIRST)
        run.end(Verdict.FAILED, str(failure), failure.hint or "It is left as it is: nothing ran before it.")
        return
    try:
        run.apply("roll back", target.objects, force=True)
        stuck = run.wait("wait for it", target.objects)
    except DevenvError as error:
        run.end(Verdict.FAILED, f"{failure}. Going back to {target.name} failed too: {error.message}", error.hint)
        return
    run.set(restored=target.revision.id if target.revision else target.name)
    if stuck is not None:
        verdict = Verdict.INCONCLUSIVE if stuck.lost else Verdict.FAILED
        run.end(verdict, f"{failure}. Going back to {target.name} failed too: {stuck}", failure.hint)
        return
    # Without endpoints in devenv.toml the digests and the pods' own probes are all that can be asked.
    proof = run.prove("prove it", target.objects, prover, target.digests, ())
    run.set(rollback_proof=proof)
    if proof.status is Status.FAILED:
        run.end(Verdict.FAILED, f"{failure}. {target.name} is back and does not serve: {proof.text}", failure.hint)
    elif proof.status is Status.INCONCLUSIVE:
        text = f"{failure}. {target.name} is back, and that it serves is not proven: {proof.text}"
        run.end(Verdict.INCONCLUSIVE, text, failure.hint)
    else:
        run.end(Verdict.ROLLED_BACK, f"{failure}. Rolled back: {target.name} serves again", failure.hint)
