"""One deployment under way: its options, what it works with, its stages, and the steps that a rollback takes too."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import KubeError
from devenv.backends.kube.kinds import PODS
from devenv.backends.kube.look import environment_of
from devenv.backends.kube.pod_start import PodStages
from devenv.control.deploy.images import ImageTools, check_digests
from devenv.control.deploy.outcome import EXIT_CODES, Check, Failure, Outcome, Proof, Prover, Result, Stage, Status
from devenv.control.deploy.prepare import RenderedOverlay, workloads_of
from devenv.control.kube.apply import apply
from devenv.control.kube.wait import Key, Patience, Stuck, Waiting, WaitResult, wait_for
from devenv.core.errors import DevenvError
from devenv.core.masking import mask_secrets
from devenv.core.text import sanitize

Object = dict[str, Any]
LINES = 10  # of a log
_WIDTH = 400  # characters of one line
_UNREADABLE = (400, 403, 404)  # no container has started, no permission, or no such pod any more


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one deployment; `wait` is implied by `verify`, `rollback` and `prune`."""

    overlay: str
    wait: bool = False
    verify: bool = False
    rollback: bool = False
    back: bool = False  # to the revision before the last
    dry_run: bool = False
    build: bool = True
    push: bool = False
    prune: bool = False
    prune_data: bool = False
    include_platform: bool = False
    force_conflicts: bool = False
    namespace: str = ""  # the command line's, "" where it names none
    images: tuple[str, ...] = ()  # NAME=REF
    patience: Patience = field(default_factory=Patience)

    @property
    def waits(self) -> bool:
        """Whether the rollout is waited for."""
        return self.wait or self.verify or self.rollback or self.prune


@dataclass(frozen=True, slots=True)
class Services:
    """What a deployment works with, so that each part can be another one in a test.

    `prover` makes what looks through the cluster for the objects that are deployed; None: no endpoint is known.
    `confirm` is shown the changes and raises Refused; `waiting` gets how far a rollout is, `begins` the name of each
    stage, `ended` each as it went.
    """

    client: KubeClient
    render: Callable[[], RenderedOverlay]
    state: Path
    images: ImageTools = field(default_factory=ImageTools)
    prover: Callable[[Sequence[dict[str, Any]], str], Prover] | None = None
    confirm: Callable[[Outcome], None] = lambda outcome: None
    waiting: Callable[[Waiting], None] = lambda waiting: None
    begins: Callable[[str], None] = lambda name: None
    ended: Callable[[Stage], None] = lambda stage: None


@dataclass(slots=True)
class Note:
    """What a running stage will say of itself at its end; the stage's code writes it."""

    text: str = ""
    status: Status = Status.DONE
    details: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Stages:
    """All stages of one deployment so far; `begins` is called with the name of each, `ended` with each."""

    ended: Callable[[Stage], None] = lambda stage: None
    begins: Callable[[str], None] = lambda name: None
    clock: Callable[[], float] = time.monotonic
    done: list[Stage] = field(default_factory=list)
    running: str = ""

    @contextmanager
    def stage(self, name: str) -> Iterator[Note]:
        """Time the block. An error makes the stage failed, with the error's words, and passes on."""
        note, began, self.running = Note(), self.clock(), name
        self.begins(name)
        try:
            yield note
        except BaseException as error:
            words = error.message if isinstance(error, DevenvError) else "interrupted"
            if not isinstance(error, DevenvError | KeyboardInterrupt):
                words = f"devenv itself failed: {error!r}"
            self._add(Stage(name, Status.FAILED, self.clock() - began, words, tuple(note.details)))
            raise
        else:
            self._add(Stage(name, note.status, self.clock() - began, note.text, tuple(note.details)))
            self.running = ""

    def skip(self, name: str, why: str) -> None:
        """Keep that a stage was not run, and why."""
        self._add(Stage(name, Status.SKIPPED, 0.0, why))

    def _add(self, stage: Stage) -> None:
        self.done.append(stage)
        self.ended(stage)


class Run:
    """One deployment under way; `outcome` is complete at every moment, so that an interrupt loses nothing."""

    def __init__(self, options: Options, services: Services) -> None:
        self.options = options
        self.services = services
        self.stages = Stages(services.ended, services.begins)
        self.applied = 0  # objects of the apply that runs or ran last
        self.last: Waiting | None = None  # how far the rollout was when it was seen last
        self.pods: tuple[PodStages, ...] = ()  # those of its new revisions
        target = services.client.target
        self.outcome = Outcome(
            overlay=options.overlay,
            context=target.context.name,
            namespace=target.namespace,
            revision=uuid.uuid4().hex[:10],
            began=time.time(),
            seconds=0.0,
            result=Result.FAILED,
        )

    def set(self, **facts: Any) -> None:
        """Keep facts of the outcome."""
        self.outcome = replace(self.outcome, **facts)

    def note(self, *texts: str) -> None:
        """Keep what a user should know beside the stages, each once."""
        self.set(notes=tuple(dict.fromkeys((*self.outcome.notes, *texts))))

    def end(self, result: Result, reason: str = "", hint: str = "") -> None:
        """Keep how it ended."""
        self.set(result=result, reason=reason, hint=hint, exit_code=EXIT_CODES[result])

    def apply(self, name: str, objects: Sequence[Mapping[str, Any]], *, force: bool) -> None:
        """Apply objects as a stage; raises the server's error at the first that it refuses."""
        self.applied = 0

        def count(_: object) -> None:
            self.applied += 1
            self.set(changed=True)

        with self.stages.stage(name) as note:
            self.last, self.pods = None, ()  # what follows is a new rollout
            done = apply(self.services.client, objects, force_conflicts=force, report=count)
            changed = [item for item in done if item.action != "unchanged"]
            note.text = f"{len(changed)} of {len(done)} objects changed"

    def wait(self, name: str, objects: Sequence[Mapping[str, Any]]) -> Failure | None:
        """Wait for the objects' rollout as a stage, and return why it failed."""
        with self.stages.stage(name) as note:
            result = self._wait(workloads_of(objects))
            self.note(*result.limits)
            note.details += map(_pod_line, self.pods)
            note.details += last_words(self.services.client, result.stuck) if result.stuck is not None else []
            note.text = f"{len(result.states)} workloads rolled out" if result.done else result.reason
            note.status = Status.DONE if result.done else Status.INCONCLUSIVE if result.lost else Status.FAILED
        return None if result.done else Failure(name, result.reason, lost=bool(result.lost))

    def _wait(self, workloads: Collection[Key]) -> WaitResult:
        def report(waiting: Waiting) -> None:
            self.last, self.pods = waiting, waiting.pods
            self.services.waiting(waiting)

        if not workloads:
            return WaitResult(True, 0.0)
        result = wait_for(self.services.client, workloads, self.options.patience, report=report)
        self.last, self.pods = Waiting(result.seconds, result.states, result.pods), result.pods
        return result

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
            digests = check_digests(objects, self.pods, recorded)
            proof = Proof((digests, *(prover.prove(objects) if prover is not None else otherwise)))
            note.status = proof.status
            note.text = f"{len(proof.checks)} checks" if proof.status is Status.DONE else proof.text
            note.details += [f"{check.name}: {check.text}" for check in proof.checks]
        return proof


def _pod_line(pod: PodStages) -> str:
    """Write the seconds from a pod's creation to each stage."""
    stages = ", ".join(f"{stage} {seconds:.0f} s" for stage, seconds in pod.seconds.items())
    age = time.time() - pod.created
    return f"{pod.name}: created {age:.0f} s ago{f', {stages}' if stages else ''}"


def last_words(client: KubeClient, stuck: Stuck) -> list[str]:
    """Return the newest log lines of a pod that holds a rollout back, secrets masked.

    Those of the container that ended, else those of the one that runs.
    """
    if not stuck.subject or stuck.subject == stuck.workload.partition("/")[2]:
        return []
    path = PODS.path(stuck.namespace, stuck.subject, "log")
    with suppress(KubeError):
        environment_of(client, client.get(PODS.path(stuck.namespace, stuck.subject)))
    for previous in ("true", "false"):
        try:
            text = client.request("GET", path, query={"tailLines": LINES, "previous": previous}, accept="*/*")
        except KubeError as error:
            if error.status in _UNREADABLE:
                continue
            return [f"its log cannot be read: {error.message}"]
        lines = [line for line in sanitize(str(text), newlines=True).splitlines() if line.strip()]
        if lines:
            return [f"{stuck.subject} said: {mask_secrets(line)[:_WIDTH]}" for line in lines]
    return []
