"""One deployment from rendering to its record, or back to what served before."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from devenv.backends.kube.errors import Unreachable
from devenv.control.deploy.images import parse_image, plan_cargo, replace_images, running_digests, ship, uses_of
from devenv.control.deploy.lock import Ledger
from devenv.control.deploy.outcome import Changed, Check, Failure, Outcome, Prover, Status, Verdict, left_as, refusal_of
from devenv.control.deploy.prepare import Scope, identity, refuse_errors, scope_of, shown, unreleased
from devenv.control.deploy.prune import Leftover, Limits, leftovers, losses_of, remove
from devenv.control.deploy.revisions import LocalRevisions, Revision, make_revision
from devenv.control.deploy.rollback import go_back, last_good, look_back
from devenv.control.deploy.run import Object, Rig, Site, Stages, Wish
from devenv.control.kube.apply import plan_apply
from devenv.control.local_lock import only_one
from devenv.core.errors import DevenvError, Interrupted

LOCKS = "deploy-locks"
REVISIONS = "deployments"
_NO_ENDPOINT = Check("endpoints", Status.INCONCLUSIVE, "devenv.toml names no [[verify.endpoint]]")


class Deployment:
    """One deployment, to be run once. What is known so far is in `outcome`, also after an error."""

    def __init__(self, wish: Wish, rig: Rig, stages: Stages | None = None) -> None:
        self._wish = wish
        self._rig = rig
        self._stages = stages or Stages()
        self._site = Site(wish, rig, self._stages)

    @property
    def outcome(self) -> Outcome:
        """How far it got, or how it ended."""
        return self._site.outcome

    def run(self) -> Outcome:
        """Deploy, and return how it ended.

        Raises what stopped it before anything was changed, and Interrupted, which says what state it is left in.
        """
        began, site = time.monotonic(), self._site
        try:
            self._run()
        except KeyboardInterrupt:
            words = left_as(site.outcome, self._stages.running, site.applied, site.rollout.last)
            site.end(Verdict.INCONCLUSIVE if site.outcome.changed else Verdict.FAILED, words)
            site.set(exit_code=Interrupted.exit_code)
            raise Interrupted(words, f"Deploy again: devenv deploy {self._wish.overlay}") from None
        except DevenvError as error:
            site.end(Verdict.FAILED, error.message, error.hint)
            site.set(exit_code=error.exit_code)
            raise
        finally:
            site.set(seconds=time.monotonic() - began, stages=tuple(self._stages.done), pods=site.rollout.pods)
        return site.outcome

    def _run(self) -> None:
        scope, objects = self._prepared()
        client = self._rig.client
        place = (client.target.context.server, client.target.context.name, scope.namespace, self._wish.overlay)
        local = LocalRevisions(self._rig.state / REVISIONS, *place)
        ledger = Ledger(client, scope.namespace, self._wish.overlay)
        with ExitStack() as stack:
            if not self._wish.dry_run:
                file = self._rig.state / LOCKS / f"{local.folder.name}.lock"
                stack.enter_context(only_one(file, f"{self._wish.overlay} in {client.target.context.name}"))
            good = last_good(ledger, local, objects, scope.namespace)
            left = self._diff(scope, objects, good)
            if self._wish.dry_run:
                self._site.end(Verdict.PLANNED)
                return
            stack.callback(lambda: self._site.note(*ledger.notes))
            stack.callback(ledger.release)
            ledger.take()
            prover = self._prover(objects, scope.namespace)
            if prover is not None:
                stack.callback(prover.close)
            if self._change(objects, good, prover):
                self._record(scope, objects, self._prune(left), ledger, local)

    def _prepared(self) -> tuple[Scope, tuple[Object, ...]]:
        wish = self._wish
        with self._stages.stage("render") as note:
            rendition = self._rig.render()
            note.text = f"{len(rendition.objects)} objects, for {rendition.environment}"
        with self._stages.stage("check") as note:
            note.details += [f"{item.object}: {item.message} ({item.rule})" for item in rendition.warnings]
            note.text = f"no errors, {len(rendition.warnings)} warnings"
            refuse_errors(rendition, wish.overlay)
        self._site.note(*rendition.notes)
        chosen = dict(parse_image(text, rendition.objects) for text in wish.images)
        default = self._rig.client.target.namespace
        scope = scope_of(
            replace_images(rendition.objects, chosen),
            include_platform=wish.include_platform,
            default=default,
            wanted=wish.namespace,
        )
        refusal = unreleased(scope.objects, wish.overlay)
        if refusal is not None:
            if not wish.dry_run:
                raise refusal
            self._site.note(f"a deployment is refused: {'; '.join(refusal.message.splitlines())}")
        left = tuple(shown(identity(item)) for item in scope.left_out)
        self._site.set(namespace=scope.namespace, left_out=left)
        objects = tuple(replace_images(scope.objects, self._shipped(scope.objects, set(chosen.values()))))
        self._site.set(images={f"{use.workload}/{use.container}": use.image for use in uses_of(objects)})
        return scope, objects

    def _shipped(self, objects: Sequence[Object], chosen: Collection[str]) -> dict[str, str]:
        """Build and bring the images to the cluster; what --image names is there already."""
        if self._wish.dry_run:
            self._stages.skip("build", "a dry run builds nothing: images are shown as the overlay names them")
            return {}
        dock = self._rig.dock()
        cargo = plan_cargo(objects, dock, build=self._wish.build, push=self._wish.push, chosen=chosen)
        if not cargo.services:
            self._stages.skip("build", cargo.why)
            return {}
        with self._stages.stage("build") as note:
            services = tuple(dict.fromkeys(cargo.services.values()))
            if dock.build is not None:
                dock.build(services)
            note.text = ", ".join(services)
        with self._stages.stage("push" if cargo.push else "load") as note:
            shipped = ship(cargo, dock)
            note.text = ", ".join(f"{old} as {new}" for old, new in shipped.items())
        return shipped

    def _diff(self, scope: Scope, objects: Sequence[Object], good: Revision | None) -> tuple[Leftover, ...]:
        """Find what changes; return what is there and no longer rendered."""
        site = self._site
        with self._stages.stage("diff") as note:
            plan = plan_apply(self._rig.client, objects)
            changes = tuple(Changed(item.kind, item.namespace, item.name, item.action, item.diff) for item in plan)
            left = self._leftovers(scope, objects, good)
            site.set(changes=changes, no_longer_rendered=tuple(item.title for item in left))
            counts = {
                word: sum(item.action == word for item in changes) for word in ("created", "changed", "unchanged")
            }
            note.text = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
            refused = refusal_of(plan, force=self._wish.force_conflicts)
            if refused is not None:
                raise refused
        if not self._wish.dry_run:
            self._rig.confirm(site.outcome)
        return left

    def _leftovers(self, scope: Scope, objects: Sequence[Object], good: Revision | None) -> tuple[Leftover, ...]:
        wish, site, client = self._wish, self._site, self._rig.client
        namespaces = {str((item.get("metadata") or {}).get("namespace", "")) for item in objects} - {""}
        limits = Limits(namespaces | {scope.namespace}, data=wish.prune_data, platform=wish.include_platform)
        left = leftovers(client, good, (*objects, *scope.left_out), limits)
        if wish.prune:
            doomed = [item for item in left if not item.stays]
            site.set(prune=tuple(item.title for item in doomed), losses=losses_of(client, doomed))
            site.note(*(f"{item.title} is not deleted: {item.stays}" for item in left if item.stays))
        return left

    def _prune(self, left: Sequence[Leftover]) -> tuple[str, ...]:
        """Delete what was asked for; return what is still there. What serves is not touched, whatever happens here."""
        doomed = [item for item in left if not item.stays] if self._wish.prune else []
        if not doomed:
            return tuple(item.identity for item in left)
        site = self._site
        try:
            with self._stages.stage("prune") as note:
                remove(self._rig.client, doomed)
                site.set(pruned=tuple(item.title for item in doomed))
                note.text = ", ".join(site.outcome.pruned)
        except DevenvError as error:
            words = f"it rolled out, and what is no longer rendered could not all be deleted: {error.message}"
            site.end(Verdict.INCONCLUSIVE, words, error.hint)
            return tuple(item.identity for item in left)
        return tuple(item.identity for item in left if item not in doomed)

    def _prover(self, objects: Sequence[Object], namespace: str) -> Prover | None:
        wanted = self._wish.verify or self._wish.rollback
        return self._rig.prover(objects, namespace) if wanted and self._rig.prover is not None else None

    def _change(self, objects: Sequence[Object], good: Revision | None, prover: Prover | None) -> bool:
        """Apply, wait and verify; return whether it succeeded, or may be recorded as the last that did."""
        site, wish = self._site, self._wish
        back = look_back(site, objects, good, prover)
        proof = None
        try:
            site.apply("apply", objects, force=wish.force_conflicts)
            if not wish.waits:
                site.end(Verdict.APPLIED, "nothing was waited for: --wait tells whether it works")
                return False
            failure = site.wait("wait", objects)
            if failure is None and wish.verify:
                proof = site.prove("verify", objects, prover, None, (_NO_ENDPOINT,))
                site.set(proof=proof)
                failure = Failure("verify", proof.text) if proof.status is Status.FAILED else None
        except Unreachable as error:
            if not site.outcome.changed:
                raise
            failure = Failure(self._stages.running, f"the cluster went away: {error.message}", lost=True)
        except DevenvError as error:
            if not site.outcome.changed:
                raise
            failure = Failure(self._stages.running, error.message, error.hint)
        if failure is not None and failure.lost:
            site.end(Verdict.INCONCLUSIVE, str(failure), "Whether it rolled out is not known. Look when it answers.")
            return False
        if failure is not None:
            go_back(site, failure, back, prover)
            return False
        if proof is not None and proof.status is Status.INCONCLUSIVE:
            site.end(Verdict.INCONCLUSIVE, f"it rolled out, and could not be verified: {proof.text}")
        else:
            site.end(Verdict.SUCCEEDED)
        return True

    def _record(
        self,
        scope: Scope,
        objects: Sequence[Mapping[str, Any]],
        left: tuple[str, ...],
        ledger: Ledger,
        local: LocalRevisions,
    ) -> None:
        site = self._site
        with self._stages.stage("record") as note:
            outcome = site.outcome
            base = Revision(
                *(outcome.revision, time.time(), outcome.overlay, outcome.context, outcome.namespace),
                digests=running_digests(site.rollout.pods),
                inventory=tuple(identity(item) for item in (*objects, *scope.left_out)),
                proven=outcome.proof is not None and outcome.proof.status is Status.DONE,
                left=left,
            )
            revision = make_revision(base, objects)
            problems = {"on this machine": local.save(revision), "in the cluster": ledger.save(revision)}
            kept = tuple(place for place, problem in problems.items() if not problem)
            site.set(recorded=kept)
            note.details += [problem for problem in problems.values() if problem]
            note.text = f"revision {revision.id}, kept {' and '.join(kept)}" if kept else "kept nowhere"
            note.status = Status.DONE if kept else Status.FAILED
