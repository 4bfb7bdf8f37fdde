"""`devenv deploy`: bring an overlay to a cluster, wait, prove that it serves, and go back when it does not."""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from devenv.backends.compose import ComposeOptions, find_project, resolve
from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.kubeconfig import find_target
from devenv.cli.console import colors_wanted, paint, tell, tell_error, warn
from devenv.cli.options import read_settings
from devenv.cli.progress import Display
from devenv.control.build_job import BuildJob
from devenv.control.deploy.images import ImageTools, NodeLoader, images_of_metadata, loader_for
from devenv.control.deploy.outcome import Outcome, Prover, Result, Stage, Status
from devenv.control.deploy.pipeline import Deployment
from devenv.control.deploy.prepare import RenderedOverlay, prepare
from devenv.control.deploy.run import Options, Services
from devenv.control.guard import Guard, Ticket
from devenv.control.kube.change import cluster_identity
from devenv.control.kube.wait import Patience, Waiting
from devenv.core.errors import EXIT_INTERRUPTED, EXIT_OK, DevenvError, ServiceFailed, UsageError
from devenv.core.kube_settings import ALLOWED, KubeSettings
from devenv.core.model import Project
from devenv.core.settings import Config, current_folder
from devenv.core.stored import state_folder
from devenv.core.text import human_duration
from devenv.manifests.check import Outside
from devenv.manifests.rendering import read_services
from devenv.manifests.schemas import choose_versions
from devenv.manifests.targets import Target, choose_targets
from devenv.runs import lines
from devenv.runs.history import History
from devenv.verify.deploy_proof import AvailabilityProver, ClusterProver, parse_address
from devenv.verify.success_metrics import remember


def run(arguments: Namespace) -> int:
    """Deploy, and return the exit code of the result; what ended it before any change is reported as an error."""
    progress = Progress(no_color=arguments.no_color)
    call = DeployCall(arguments, progress)
    deployment = Deployment(call.options(), call.services())
    failure: DevenvError | None = None
    try:
        outcome = deployment.run()
        failure = ServiceFailed(outcome.reason) if outcome.exit_code != EXIT_OK else None
    except DevenvError as error:
        failure, outcome = error, deployment.outcome
    finally:
        if call.ticket is not None:
            call.guard.finish(call.ticket, failure or sys.exc_info()[1])
        call.client.close()
    lines.tell({"phase": "ended", "outcome": outcome.to_data()})
    _show(arguments, outcome, failure)
    try:
        remember(History(), outcome, call.project_name, call.root, call.config.verify.budgets)
    except DevenvError as error:  # what happened in the cluster is not undone by a history that cannot be written
        warn(error.message, no_color=arguments.no_color)
    return outcome.exit_code


def _show(arguments: Namespace, outcome: Outcome, failure: DevenvError | None) -> None:
    if arguments.json:
        sys.stdout.write(json.dumps(outcome.to_data(), indent=2, ensure_ascii=False) + "\n")
    elif failure is None or (outcome.changed and outcome.exit_code != EXIT_INTERRUPTED):
        colored = colors_wanted(sys.stdout, no_color=arguments.no_color)
        lines = to_text(outcome, lambda text, color: paint(text, color, colored), diff=arguments.diff)
        sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
    if failure is not None and (not outcome.changed or outcome.exit_code == EXIT_INTERRUPTED):
        tell_error(failure, no_color=arguments.no_color)


class DeployCall:
    """One call of the command. Raises UsageError, BadKubeconfig, and Refused where the context may not be changed."""

    def __init__(self, arguments: Namespace, progress: Progress) -> None:
        self._arguments = arguments
        self._progress = progress
        self._environ = dict(os.environ)
        self.config: Config = read_settings(arguments)
        self.root = self.config.root or current_folder()
        self._overlay = find_overlay(arguments.overlay, self.config)
        self._options: ComposeOptions | None = None
        self._address = None if arguments.available is None else parse_address(arguments.available)
        self.project, self._no_project = self._compose()
        self.client = KubeClient(find_target(self.config.kubernetes, self._environ), self._environ)
        self.guard = Guard.of(self.config)
        self._plan = self.guard.plan_cluster("deploy", (self._overlay.name,), cluster_identity(self.client))
        if not self._plan.allowed and not arguments.dry_run:
            self.guard.begin(self._plan)  # raises Refused, and writes it down
        self.ticket: Ticket | None = None

    @property
    def project_name(self) -> str:
        """What the history calls the project: Compose's name, else the folder's."""
        return self.project.name if self.project is not None else self.root.name

    def options(self) -> Options:
        """Return what the command line asks for."""
        arguments = self._arguments
        if self._address is not None and not arguments.verify:
            raise UsageError("--available needs --verify", "It is a part of the proof: a failed request fails it.")
        images = tuple(arguments.images or ())
        if arguments.build_metadata is not None:
            images += images_of_metadata(Path(arguments.build_metadata))
        return Options(
            overlay=self._overlay.name,
            wait=arguments.wait,
            verify=arguments.verify,
            rollback=arguments.rollback_on_failure,
            back=arguments.back,
            dry_run=arguments.dry_run,
            build=not arguments.no_build,
            push=arguments.push,
            prune=arguments.prune or arguments.prune_data,
            prune_data=arguments.prune_data,
            include_platform=arguments.include_platform,
            force_conflicts=arguments.force_conflicts,
            namespace=arguments.namespace or "",
            images=images,
            patience=Patience(timeout=arguments.timeout),
        )

    def services(self) -> Services:
        """Return what the deployment works with."""
        return Services(
            client=self.client,
            render=self._render,
            state=state_folder(),
            images=self._images(),
            ended=self._progress.ended,
            begins=lambda name: lines.tell({"phase": "begins", "name": name}),
            prover=self._prover if self.config.verify.endpoints or self._address else None,
            confirm=self._confirm,
            waiting=self._progress.waiting,
        )

    def _compose(self) -> tuple[Project | None, str]:
        arguments, config = self._arguments, self.config
        try:
            self._options = find_project(
                current_folder(arguments.files), ComposeOptions(files=arguments.files), self._environ, config
            )
            return resolve(self._options), ""
        except DevenvError as error:
            return None, error.message

    def _render(self) -> RenderedOverlay:
        settings = self.config.manifests
        outside = Outside(self.root, settings, environ=self._environ)
        if self._overlay.declared and self._options is not None and self.project is not None:
            outside = Outside(self.root, settings, read_services(self._options), environ=self._environ)
        return prepare(self._overlay, choose_versions(settings.versions), outside)

    def _images(self) -> ImageTools:
        loader, why = loader_for(self.client.target.context, self._environ)
        missing = NodeLoader(loader, self.client) if loader is not None else None
        return ImageTools(self.project, self._no_project, self._build, missing, why, self._environ)

    def _build(self, services: tuple[str, ...]) -> None:
        if self._options is None or self.project is None:
            return
        display = Display(no_color=self._arguments.no_color)
        job = BuildJob(self._options, self.project, services, self._environ, self.root)
        try:
            job.run(display.show)
        finally:
            display.close()

    def _prover(self, objects: Sequence[dict[str, Any]], namespace: str) -> Prover:
        def through_the_cluster() -> Prover:
            workloads = self.config.manifests.compose.workloads
            return ClusterProver(self.client, objects, namespace, self.config.verify, workloads)

        if self._address is None:
            return through_the_cluster()
        return AvailabilityProver(self._address, through_the_cluster() if self.config.verify.endpoints else None)

    def _confirm(self, outcome: Outcome) -> None:
        """Ask before a cluster that others may use is changed, or anything is deleted; else local ones are not."""
        arguments = self._arguments
        place = cluster_identity(self.client, outcome.namespace)
        options = (("prune", ", ".join(outcome.prune)),) if outcome.prune else ()
        self._plan = self.guard.plan_cluster(
            "deploy", (self._overlay.name,), place, losses=outcome.losses, options=options
        )
        changes = [item for item in outcome.changes if item.action != "unchanged"]
        is_local = KubeSettings().may_change(outcome.context)
        if ((changes and not is_local) or outcome.prune) and not arguments.yes:
            sentence = f"{len(changes)} objects of {outcome.namespace} in {outcome.context} change"
            sentence += f", {len(outcome.prune)} are deleted" if outcome.prune else ""
            if not sys.stdin.isatty():
                hint = f"Add --yes. Without it only {', '.join(ALLOWED)} are changed, and nothing is deleted."
                raise self.guard.refuse(self._plan, f"{sentence}, and there is no terminal to ask", hint)
            for item in changes:
                tell(f"  {item.action} {item.kind} {item.namespace}/{item.name}", no_color=arguments.no_color)
            for title in outcome.prune:
                tell(f"  deleted {title}", no_color=arguments.no_color)
            for loss in outcome.losses:
                tell(f"  lost: {loss}", no_color=arguments.no_color)
            sys.stderr.write(f"{sentence}. Deploy {outcome.overlay}? Type yes: ")
            sys.stderr.flush()
            if sys.stdin.readline().strip().lower() not in ("yes", "y"):
                raise self.guard.refuse(self._plan, "Not confirmed: nothing was changed", "")
        self.ticket = self.guard.begin(self._plan, now=cluster_identity(self.client))
        if self.ticket.warning:
            warn(self.ticket.warning, no_color=arguments.no_color)


def find_overlay(name: str, config: Config) -> Target:
    """Return the overlay of that name in devenv.toml, or the folder; raises UsageError with the names there are."""
    if name in config.manifests.overlays:
        return choose_targets((), [name], config.manifests, current_folder())[0]
    folder = Path(name)
    if folder.is_dir():
        overlays = choose_targets([folder], (), config.manifests, current_folder())
        if len(overlays) == 1:
            return overlays[0]
        raise UsageError(
            f"{name} holds several overlays", f"Name one of: {', '.join(str(item.folder) for item in overlays)}."
        )
    known = ", ".join(config.manifests.overlays) or "none in devenv.toml"
    raise UsageError(f"There is no overlay {name!r}", f"Overlays: {known}. Or name a Kustomize folder.")


_MARKS: Final = {
    Status.DONE: ("✔", "green"),
    Status.FAILED: ("✘", "red"),
    Status.INCONCLUSIVE: ("?", "yellow"),
    Status.SKIPPED: ("-", "dim"),
}
_COLORS: Final = {Result.SUCCEEDED: "green", Result.APPLIED: "green", Result.PLANNED: "cyan", Result.FAILED: "red"}
_DIFFS: Final = ("created", "changed")


class Progress:
    """Writes to stderr while it goes on; every line once."""

    def __init__(self, stream: IO[str] | None = None, *, no_color: bool | None = None) -> None:
        self._stream = stream or sys.stderr
        self._color = colors_wanted(self._stream, no_color=no_color)
        self._words: set[str] = set()

    def ended(self, stage: Stage) -> None:
        """Tell a stage that has ended."""
        lines.tell({"phase": "stage", **msgspec.to_builtins(stage)})
        mark, color = _MARKS[stage.status]
        took = f" {human_duration(stage.seconds)}" if stage.status is not Status.SKIPPED else ""
        first = (stage.text.splitlines() or [""])[0]
        self._line(f"{paint(mark, color, self._color)} {stage.name:<10}{took:>10}  {first}".rstrip())
        for line in stage.details:
            self._line(f"  {'':<20}  {line}")

    def waiting(self, waiting: Waiting) -> None:
        """Tell what is waited for, when it is something new."""
        lines.tell({"phase": "waiting", "words": list(waiting.words)})
        for words in waiting.words:
            if words not in self._words:
                self._words.add(words)
                self._line(f"  {'':<10}{human_duration(waiting.seconds):>10}  {paint(words, 'dim', self._color)}")

    def _line(self, text: str) -> None:
        self._stream.write(f"{text}\n")
        self._stream.flush()


def to_text(outcome: Outcome, painted: Callable[[str, str], str], *, diff: bool) -> list[str]:
    """Return what goes to stdout at the end: changes, what was left out, and the result."""
    lines = []
    if diff or outcome.result is Result.PLANNED:
        for item in outcome.changes:
            where = f"{item.namespace}/" if item.namespace else ""
            lines.append(f"{item.action:<10} {item.kind} {where}{item.name}")
            lines += [f"    {line}" for line in item.diff if item.action in _DIFFS]
    if outcome.left_out:
        lines.append(f"left to the administrator: {', '.join(outcome.left_out)} (--include-platform)")
    if outcome.prune and outcome.result is Result.PLANNED:
        lines.append(f"no longer rendered, would be deleted: {', '.join(outcome.prune)}")
    elif outcome.pruned:
        lines.append(f"no longer rendered, deleted: {', '.join(outcome.pruned)}")
    settled = outcome.prune if outcome.result is Result.PLANNED else outcome.pruned
    lines += [f"  lost: {loss}" for loss in outcome.losses if settled]
    stays = [title for title in outcome.no_longer_rendered if title not in settled]
    if stays:
        lines.append(f"no longer rendered, and not deleted: {', '.join(stays)}")
    lines += [f"note: {note}" for note in outcome.notes]
    result = painted(outcome.result.value, _COLORS.get(outcome.result, "yellow"))
    head = f"{outcome.overlay} to {outcome.namespace} in {outcome.context}: {result}"
    lines.append(f"{head} after {human_duration(outcome.seconds)}, revision {outcome.revision}")
    if outcome.reason:
        lines.append(f"  {outcome.reason}")
    if outcome.hint:
        lines.append(f"  hint: {outcome.hint}")
    return lines
