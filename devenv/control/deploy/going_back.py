"""After a failure: apply the way back, wait for it, and prove that it serves."""

from __future__ import annotations

from collections.abc import Sequence

from devenv.control.deploy.proving import running_digests
from devenv.control.deploy.records import Prover, Status, Verdict
from devenv.control.deploy.revisions import Revision
from devenv.control.deploy.rollback import WayBack, way_back
from devenv.control.deploy.scope import workloads_of
from devenv.control.deploy.site import Object, Site
from devenv.control.deploy.verdicts import Failure
from devenv.control.kube.wait import look
from devenv.core.errors import DevenvError

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
