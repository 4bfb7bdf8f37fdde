"""One deployment from rendering to its record, or back: to the last that succeeded, else to what ran before."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from devenv.backends.kube.errors import Unreachable
from devenv.control.deploy.images import deliver, parse_image, plan_images, replace_images, running_digests, uses_of
from devenv.control.deploy.outcome import Changed, Check, Failure, Outcome, Prover, Result, Status, left_as, refusal_of
from devenv.control.deploy.prepare import (
    Leftover,
    Limits,
    Scope,
    identity,
    leftovers,
    losses_of,
    refuse_errors,
    remove,
    scope_of,
    shown,
    unreleased,
    workloads_of,
)
from devenv.control.deploy.record import DeploymentRecord, LocalRevisions, Revision, make_revision, trusted
from devenv.control.deploy.run import Object, Options, Run, Services
from devenv.control.kube.apply import plan_apply
from devenv.control.kube.wait import look
from devenv.core.errors import DevenvError, Interrupted, UsageError
from devenv.core.stored import only_one

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
    """Roll back where that is asked for and possible, and give the result."""
    if not run.options.rollback:
        run.end(Result.FAILED, str(failure), failure.hint or "It is left as it is. --rollback-on-failure goes back.")
        return
    if not target.exists:
        run.stages.skip("roll back", _FIRST)
        run.end(Result.FAILED, str(failure), failure.hint or "It is left as it is: nothing ran before it.")
        return
    try:
        run.apply("roll back", target.objects, force=True)
        stuck = run.wait("wait for it", target.objects)
    except DevenvError as error:
        run.end(Result.FAILED, f"{failure}. Going back to {target.name} failed too: {error.message}", error.hint)
        return
    run.set(restored=target.revision.id if target.revision else target.name)
    if stuck is not None:
        result = Result.INCONCLUSIVE if stuck.lost else Result.FAILED
        run.end(result, f"{failure}. Going back to {target.name} failed too: {stuck}", failure.hint)
        return
    # Without endpoints in devenv.toml the digests and the pods' own probes are all that can be asked.
    proof = run.prove("prove it", target.objects, prover, target.digests, ())
    run.set(rollback_proof=proof)
    if proof.status is Status.FAILED:
        run.end(Result.FAILED, f"{failure}. {target.name} is back and does not serve: {proof.text}", failure.hint)
    elif proof.status is Status.INCONCLUSIVE:
        text = f"{failure}. {target.name} is back, and that it serves is not proven: {proof.text}"
        run.end(Result.INCONCLUSIVE, text, failure.hint)
    else:
        run.end(Result.ROLLED_BACK, f"{failure}. Rolled back: {target.name} serves again", failure.hint)


LOCKS = "deploy-locks"
REVISIONS = "deployments"
_NO_ENDPOINT = Check("endpoints", Status.INCONCLUSIVE, "devenv.toml names no [[verify.endpoint]]")


class Deployment:
    """One deployment, to be run once. What is known so far is in `outcome`, also after an error."""

    def __init__(self, options: Options, services: Services) -> None:
        self._options = options
        self._services = services
        self._run = Run(options, services)

    @property
    def outcome(self) -> Outcome:
        """How far it got, or how it ended."""
        return self._run.outcome

    def run(self) -> Outcome:
        """Deploy, and return how it ended.

        Raises what stopped it before anything was changed, and Interrupted, which says what state it is left in.
        """
        began, run = time.monotonic(), self._run
        try:
            self._deploy()
        except KeyboardInterrupt:
            words = left_as(run.outcome, run.stages.running, run.applied, run.last)
            run.end(Result.INCONCLUSIVE if run.outcome.changed else Result.FAILED, words)
            run.set(exit_code=Interrupted.exit_code)
            raise Interrupted(words, f"Deploy again: devenv deploy {self._options.overlay}") from None
        except DevenvError as error:
            run.end(Result.FAILED, error.message, error.hint)
            run.set(exit_code=error.exit_code)
            raise
        finally:
            run.set(seconds=time.monotonic() - began, stages=tuple(run.stages.done), pods=run.pods)
        return run.outcome

    def _deploy(self) -> None:
        scope, chosen = self._rendered()
        client = self._services.client
        place = (client.target.context.server, client.target.context.name, scope.namespace, self._options.overlay)
        local = LocalRevisions(self._services.state / REVISIONS, *place)
        record = DeploymentRecord(client, scope.namespace, self._options.overlay)
        objects = self._earlier(local) if self._options.back else self._with_images(scope.objects, chosen)
        with ExitStack() as stack:
            if not self._options.dry_run:
                file = self._services.state / LOCKS / f"{local.folder.name}.lock"
                stack.enter_context(only_one(file, f"{self._options.overlay} in {client.target.context.name}"))
            good = last_good(record, local, objects, scope.namespace)
            left = self._diff(scope, objects, good)
            if self._options.dry_run:
                self._run.end(Result.PLANNED)
                return
            stack.callback(lambda: self._run.note(*record.notes))
            stack.callback(record.release)
            record.take()
            prover = self._prover(objects, scope.namespace)
            if prover is not None:
                stack.callback(prover.close)
            if self._change(objects, good, prover):
                self._record(scope, objects, self._prune(left), record, local)

    def _rendered(self) -> tuple[Scope, set[str]]:
        """Render and judge the overlay; return what is applied, and the images that were chosen for it."""
        options = self._options
        with self._run.stages.stage("render") as note:
            rendered = self._services.render()
            note.text = f"{len(rendered.objects)} objects, for {rendered.environment}"
        with self._run.stages.stage("check") as note:
            note.details += [f"{item.object}: {item.message} ({item.rule})" for item in rendered.warnings]
            note.text = f"no errors, {len(rendered.warnings)} warnings"
            refuse_errors(rendered, options.overlay)
        self._run.note(*rendered.notes)
        chosen = dict(parse_image(text, rendered.objects) for text in options.images)
        default = self._services.client.target.namespace
        scope = scope_of(
            replace_images(rendered.objects, chosen),
            include_platform=options.include_platform,
            default=default,
            namespace=options.namespace,
        )
        refusal = unreleased(scope.objects, options.overlay)
        if refusal is not None:
            if not options.dry_run:
                raise refusal
            self._run.note(f"a deployment is refused: {'; '.join(refusal.message.splitlines())}")
        left = tuple(shown(identity(item)) for item in scope.left_out)
        self._run.set(namespace=scope.namespace, left_out=left)
        return scope, set(chosen.values())

    def _with_images(self, rendered: Sequence[Object], chosen: Collection[str]) -> tuple[Object, ...]:
        objects = tuple(replace_images(rendered, self._delivered(rendered, chosen)))
        self._run.set(images={f"{use.workload}/{use.container}": use.image for use in uses_of(objects)})
        return objects

    def _earlier(self, local: LocalRevisions) -> tuple[Object, ...]:
        """Return what the revision before the last applied; raises UsageError where this machine has none."""
        with self._run.stages.stage("go back") as note:
            revision = local.before()
            if revision is None:
                hint = "Two deployments that succeeded are needed; each machine keeps its own last five."
                raise UsageError(f"There is no earlier revision of {self._options.overlay} on this machine", hint)
            when = time.strftime("%Y-%m-%d %H:%M", time.localtime(revision.at))
            note.text = f"to revision {revision.id} of {when}"
        images = {f"{use.workload}/{use.container}": use.image for use in uses_of(revision.objects)}
        self._run.set(images=images, restored=revision.id)
        return revision.objects

    def _delivered(self, objects: Sequence[Object], chosen: Collection[str]) -> dict[str, str]:
        """Build and bring the images to the cluster; what --image names is there already."""
        if self._options.dry_run:
            self._run.stages.skip("build", "a dry run builds nothing: images are shown as the overlay names them")
            return {}
        images = self._services.images
        plan = plan_images(objects, images, build=self._options.build, push=self._options.push, chosen=chosen)
        if not plan.services:
            self._run.stages.skip("build", plan.why)
            return {}
        with self._run.stages.stage("build") as note:
            services = tuple(dict.fromkeys(plan.services.values()))
            if images.build is not None:
                images.build(services)
            note.text = ", ".join(services)
        with self._run.stages.stage("push" if plan.push else "load") as note:
            delivered = deliver(plan, images)
            note.text = ", ".join(f"{old} as {new}" for old, new in delivered.items())
        return delivered

    def _diff(self, scope: Scope, objects: Sequence[Object], good: Revision | None) -> tuple[Leftover, ...]:
        """Find what changes; return what is there and no longer rendered."""
        run = self._run
        with self._run.stages.stage("diff") as note:
            plan = plan_apply(self._services.client, objects)
            changes = tuple(Changed(item.kind, item.namespace, item.name, item.action, item.diff) for item in plan)
            left = self._leftovers(scope, objects, good)
            run.set(changes=changes, no_longer_rendered=tuple(item.title for item in left))
            counts = {
                word: sum(item.action == word for item in changes) for word in ("created", "changed", "unchanged")
            }
            note.text = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
            refused = refusal_of(plan, force=self._options.force_conflicts)
            if refused is not None:
                raise refused
        if not self._options.dry_run:
            self._services.confirm(run.outcome)
        return left

    def _leftovers(self, scope: Scope, objects: Sequence[Object], good: Revision | None) -> tuple[Leftover, ...]:
        options, run, client = self._options, self._run, self._services.client
        namespaces = {str((item.get("metadata") or {}).get("namespace", "")) for item in objects} - {""}
        limits = Limits(namespaces | {scope.namespace}, data=options.prune_data, platform=options.include_platform)
        left = leftovers(client, good, (*objects, *scope.left_out), limits)
        if options.prune:
            to_delete = [item for item in left if not item.stays]
            run.set(prune=tuple(item.title for item in to_delete), losses=losses_of(client, to_delete))
            run.note(*(f"{item.title} is not deleted: {item.stays}" for item in left if item.stays))
        return left

    def _prune(self, left: Sequence[Leftover]) -> tuple[str, ...]:
        """Delete what was asked for; return what is still there. What serves is not touched, whatever happens here."""
        to_delete = [item for item in left if not item.stays] if self._options.prune else []
        if not to_delete:
            return tuple(item.identity for item in left)
        run = self._run
        try:
            with self._run.stages.stage("prune") as note:
                remove(self._services.client, to_delete)
                run.set(pruned=tuple(item.title for item in to_delete))
                note.text = ", ".join(run.outcome.pruned)
        except DevenvError as error:
            words = f"it rolled out, and what is no longer rendered could not all be deleted: {error.message}"
            run.end(Result.INCONCLUSIVE, words, error.hint)
            return tuple(item.identity for item in left)
        return tuple(item.identity for item in left if item not in to_delete)

    def _prover(self, objects: Sequence[Object], namespace: str) -> Prover | None:
        needed = self._options.verify or self._options.rollback
        return self._services.prover(objects, namespace) if needed and self._services.prover is not None else None

    def _change(self, objects: Sequence[Object], good: Revision | None, prover: Prover | None) -> bool:
        """Apply, wait and verify; return whether it succeeded, or may be recorded as the last that did."""
        run, options = self._run, self._options
        target = find_target(run, objects, good, prover)
        proof = None
        try:
            run.apply("apply", objects, force=options.force_conflicts)
            if not options.waits:
                run.end(Result.APPLIED, "nothing was waited for: --wait tells whether it works")
                return False
            failure = run.wait("wait", objects)
            if failure is None and options.verify:
                proof = run.prove("verify", objects, prover, None, (_NO_ENDPOINT,))
                run.set(proof=proof)
                failure = Failure("verify", proof.text) if proof.status is Status.FAILED else None
        except Unreachable as error:
            if not run.outcome.changed:
                raise
            failure = Failure(run.stages.running, f"the cluster went away: {error.message}", lost=True)
        except DevenvError as error:
            if not run.outcome.changed:
                raise
            failure = Failure(run.stages.running, error.message, error.hint)
        if failure is not None and failure.lost:
            run.end(Result.INCONCLUSIVE, str(failure), "Whether it rolled out is not known. Look when it answers.")
            return False
        if failure is not None:
            roll_back(run, failure, target, prover)
            return False
        if proof is not None and proof.status is Status.INCONCLUSIVE:
            run.end(Result.INCONCLUSIVE, f"it rolled out, and could not be verified: {proof.text}")
        else:
            run.end(Result.SUCCEEDED)
        return True

    def _record(
        self,
        scope: Scope,
        objects: Sequence[Mapping[str, Any]],
        left: tuple[str, ...],
        record: DeploymentRecord,
        local: LocalRevisions,
    ) -> None:
        run = self._run
        with self._run.stages.stage("record") as note:
            outcome = run.outcome
            base = Revision(
                *(outcome.revision, time.time(), outcome.overlay, outcome.context, outcome.namespace),
                digests=running_digests(run.pods),
                inventory=tuple(identity(item) for item in (*objects, *scope.left_out)),
                proven=outcome.proof is not None and outcome.proof.status is Status.DONE,
                left=left,
            )
            revision = make_revision(base, objects)
            problems = {"on this machine": local.save(revision), "in the cluster": record.save(revision)}
            kept = tuple(place for place, problem in problems.items() if not problem)
            run.set(recorded=kept)
            note.details += [problem for problem in problems.values() if problem]
            note.text = f"revision {revision.id}, kept {' and '.join(kept)}" if kept else "kept nowhere"
            note.status = Status.DONE if kept else Status.FAILED
