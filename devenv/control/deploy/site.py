"""What the stages of one deployment share: what is known so far, and the steps that going forth and back both take."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from devenv.control.deploy.clock import Stages
from devenv.control.deploy.last_words import last_words
from devenv.control.deploy.proving import check_digests
from devenv.control.deploy.records import Check, Outcome, Proof, Prover, Status, Verdict
from devenv.control.deploy.rollout import Rollout
from devenv.control.deploy.scope import workloads_of
from devenv.control.deploy.verdicts import EXIT_CODES, Failure
from devenv.control.deploy.wish import Rig, Wish
from devenv.control.kube.apply import apply

Object = dict[str, Any]


class Site:
    """One deployment under way; `outcome` is complete at every moment, so that an interrupt loses nothing."""

    def __init__(self, wish: Wish, rig: Rig, stages: Stages) -> None:
        self.wish = wish
        self.rig = rig
        self.stages = stages
        self.rollout = Rollout(rig.client, wish.patience, rig.waiting)
        self.applied = 0  # objects of the apply that runs or ran last
        target = rig.client.target
        self.outcome = Outcome(
            overlay=wish.overlay,
            context=target.context.name,
            namespace=target.namespace,
            revision=uuid.uuid4().hex[:10],
            began=time.time(),
            seconds=0.0,
            verdict=Verdict.FAILED,
        )

    def set(self, **facts: Any) -> None:
        """Keep facts of the outcome."""
        self.outcome = replace(self.outcome, **facts)

    def note(self, *texts: str) -> None:
        """Keep what a user should know beside the stages, each once."""
        self.set(notes=tuple(dict.fromkeys((*self.outcome.notes, *texts))))

    def end(self, verdict: Verdict, reason: str = "", hint: str = "") -> None:
        """Keep how it ended."""
        self.set(verdict=verdict, reason=reason, hint=hint, exit_code=EXIT_CODES[verdict])

    def apply(self, name: str, objects: Sequence[Mapping[str, Any]], *, force: bool) -> None:
        """Apply objects as a stage; raises the server's error at the first that it refuses."""
        self.applied = 0

        def count(_: object) -> None:
            self.applied += 1
            self.set(changed=True)

        with self.stages.stage(name) as note:
            self.rollout.begin()
            done = apply(self.rig.client, objects, force_conflicts=force, report=count)
            changed = [item for item in done if item.action != "unchanged"]
            note.text = f"{len(changed)} of {len(done)} objects changed"

    def wait(self, name: str, objects: Sequence[Mapping[str, Any]]) -> Failure | None:
        """Wait for the objects' rollout as a stage, and return why it failed."""
        with self.stages.stage(name) as note:
            found = self.rollout.wait(workloads_of(objects))
            self.note(*found.limits)
            note.details += self.rollout.pod_lines()
            note.details += last_words(self.rig.client, found.stuck) if found.stuck is not None else []
            note.text = f"{len(found.states)} workloads rolled out" if found.done else found.reason
            note.status = Status.DONE if found.done else Status.INCONCLUSIVE if found.lost else Status.FAILED
        return None if found.done else Failure(name, found.reason, lost=bool(found.lost))

    def prove(
        self,
        name: str,
        objects: Sequence[Object],
        prover: Prover | None,
        recorded: Mapping[str, str] | None,
        otherwise: Sequence[Check],
    ) -> Proof:
        """Look at what runs as a stage; `otherwise` stands for the prover's checks where there is none."""
        with self.stages.stage(name) as note:
            digests = check_digests(objects, self.rollout.pods, recorded)
            proof = Proof((digests, *(prover.prove(objects) if prover is not None else otherwise)))
            note.status = proof.status
            note.text = f"{len(proof.checks)} checks" if proof.status is Status.DONE else proof.text
            note.details += [f"{check.name}: {check.text}" for check in proof.checks]
        return proof
