"""One verb of Compose from its start to its outcome: progress for people on the way, an error of ours at the end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Protocol

from msgspec import Struct, field

from devenv.backends.compose.find import ComposeOptions
from devenv.backends.docker.endpoint import Endpoint, resolve_endpoint
from devenv.backends.docker.heartbeat import Heartbeat
from devenv.control.compose import ComposeRun
from devenv.control.failures import EngineQuestions, FailedStep, service_of_container, translate
from devenv.control.guard import scope_of
from devenv.control.image_failures import HelperWatch, is_build_failure
from devenv.control.stream import BuildStatus, BuildView, Complaint, Remark, service_of_step
from devenv.core.errors import DevenvError, Interrupted
from devenv.core.model import Progress, Project

_CRASH = ("panic: ", "fatal error: ")  # how a Go program ends on a fault of its own
# Compose 5 would go on without BuildKit, with a builder that knows neither secrets nor named contexts.
_NO_BUILDKIT = "buildx Docker CLI plugin not found"
_WITHOUT_CONTAINERS = ("build", "pull", "push")  # verbs that do not wait for any
LOCAL_SCHEMES = ("unix", "npipe")
Report = Callable[[Progress | Remark], None]


class _Heard(Struct):
    """What Compose reported of one run: its final error, and what tells whose that is."""

    view: BuildView
    complaint: str = ""
    refused: str = ""  # the warning of Compose because of which it was ended
    service: str = ""  # of the last step that Compose called an error
    failed: list[FailedStep] = field(default_factory=list)
    starting: dict[str, None] = field(default_factory=dict)  # ids of steps that began to start and did not end


class Before(Protocol):
    """What has to be done before a verb of Compose; it is part of the job."""

    def run(self, report: Report) -> tuple[str, ...]:
        """Do it in this thread, and return the flags that the verb needs because of it; raises DevenvError."""
        ...

    def interrupt(self) -> None:
        """End it as ctrl-c would, from any thread."""
        ...


class Job:
    """A verb of Compose on one project, to be run once; `document` is the project where the options' file is "-"."""

    def __init__(
        self,
        options: ComposeOptions,
        project: Project,
        verb: str,
        flags: tuple[str, ...] = (),
        targets: tuple[str, ...] = (),
        environ: Mapping[str, str] | None = None,
        document: bytes = b"",
        before: Before | None = None,
    ) -> None:
        self._options = options.for_project(project)
        self._project = project
        self._verb = verb
        self._flags = flags
        self._targets = targets
        self._environ = environ
        self._document = document
        self._before = before
        self._run: ComposeRun | None = None
        self._lock = threading.Lock()
        self._interrupted = False
        self.steps = 0  # how many steps Compose reported: 0 means there was nothing to do

    def run(self, report: Report) -> None:
        """Run Compose to its end; `report` is called in this thread for each step and warning.

        Raises Interrupted, or what `failures.translate` made of Compose's error.
        """
        more = self._before.run(report) if self._before is not None else ()
        arguments = (self._verb, *self._flags, *more, *self._targets)
        with self._lock:
            if self._interrupted:
                raise Interrupted(f"{self._verb} was canceled before it began")
            run = self._run = ComposeRun(self._options, arguments, self._environ, self._document)
        pulse = self._heartbeat(report, run)
        providers = any(service.provider for service in self._project.services)
        helper = HelperWatch(
            run.group, self._environ, lambda text: report(Remark(text)), run.interrupt, runs_programs=providers
        )
        try:
            with pulse or nullcontext(), helper:
                heard = self._follow(run, report)
                code = run.wait()
        finally:
            run.close()  # does something only when our side broke: Compose must not go on unseen
        if pulse is not None and pulse.error is not None:
            raise pulse.error
        if helper.error is not None:
            raise helper.error
        if self._interrupted:
            raise Interrupted(f"{self._verb} was interrupted")
        if heard.refused:
            raise translate(heard.refused, self._project)
        if code == 0:
            return
        questions = EngineQuestions(self._options.directory, self._environ)
        step = heard.view.failing()
        raise translate(
            heard.complaint,
            self._project,
            step=step,
            service=heard.view.service_of(step) if step else self._service_of_failure(heard, questions),
            failed=tuple(heard.failed),
            publishers=questions.publishers,
            holder=questions.holder,
            is_local=_endpoint(self._environ).scheme in LOCAL_SCHEMES,
        )

    def interrupt(self) -> None:
        """End it as ctrl-c would, from any thread; `run` then raises Interrupted."""
        with self._lock:
            self._interrupted = True
            run = self._run
        if self._before is not None:
            self._before.interrupt()
        if run is not None:
            run.interrupt()

    def _heartbeat(self, report: Report, run: ComposeRun) -> Heartbeat | None:
        try:
            endpoint = _endpoint(self._environ)
        except DevenvError:
            return None  # docker itself says what is wrong with its settings
        project = "" if self._verb in _WITHOUT_CONTAINERS else self._project.name
        return Heartbeat(endpoint, lambda text: report(Remark(text)), run.interrupt, project=project)

    def _service_of_failure(self, heard: _Heard, questions: EngineQuestions) -> str:
        """Say whose the final error is where no step says it: Compose names none of a start or a build that failed."""
        if is_build_failure(heard.complaint):
            return heard.view.only_service
        if heard.service:
            return heard.service
        names = [step_id.removeprefix("Container ") for step_id in heard.starting]
        reasons = questions.start_errors(names) if len(names) > 1 else dict.fromkeys(names, heard.complaint)
        named = (name for name, reason in reasons.items() if reason in heard.complaint)
        return self._service_of(next(named, ""))

    def _follow(self, run: ComposeRun, report: Report) -> _Heard:
        # `build` builds what is named, `up` also what that depends on.
        scope = scope_of(self._project, self._targets)
        built = set(self._targets) if self._verb == "build" and self._targets else None
        view = BuildView(
            tuple(item.name for item in scope.services if item.builds and (built is None or item.name in built))
        )
        heard = _Heard(view)
        remarks: list[str] = []
        crashed = False
        for record in run.records():
            if isinstance(record, Progress):
                self.steps += 1
                heard.starting.pop(record.id, None)
                if record.text == "Starting":
                    heard.starting[record.id] = None
                if record.status == "error":
                    self._note_failure(record, heard)
                report(record)
            elif isinstance(record, BuildStatus):
                for progress in view.apply(record.data):
                    report(progress)
            elif isinstance(record, Complaint):
                heard.complaint = record.message
            elif record.text.startswith(_NO_BUILDKIT):
                heard.refused = record.text
                run.interrupt()
            elif crashed:
                continue  # the rest of Compose's own stack trace
            elif record.text.startswith(_CRASH):
                crashed = True
                heard.complaint = f"Docker Compose itself crashed: {record.text}"
            else:
                remarks.append(record.text)
                report(record)
        # A docker that has no compose, or cannot start at all, speaks no JSON: its last lines are the reason.
        heard.complaint = heard.complaint or "\n".join(remarks[-5:])
        return heard

    def _note_failure(self, record: Progress, heard: _Heard) -> None:
        kind, _, name = record.id.partition(" ")
        image = name if kind == "Image" else ""
        users = ", ".join(item.name for item in self._project.services if image and item.image == image)
        service = users or self._service_of(record.id)
        heard.failed.append(FailedStep(record.details or record.text, service, image))
        if not image:
            heard.service = service or heard.service

    def _service_of(self, step_id: str) -> str:
        return service_of_step(step_id) or service_of_container(step_id.removeprefix("Container "), self._project)


def _endpoint(environ: Mapping[str, str] | None) -> Endpoint:
    return resolve_endpoint(environ) if environ is not None else resolve_endpoint()
