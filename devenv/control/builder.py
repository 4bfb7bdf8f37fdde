"""Building what a plan says: each service as soon as the images that its own is made from are there.

Compose builds, from a project that holds the build sections alone and is given on its standard input: the label with
the content key is in it, and nothing is written beside the user's files.
"""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from devenv.backends.compose.find import ComposeOptions
from devenv.backends.docker.plain import EngineImage
from devenv.backends.programs import output_of
from devenv.builds.graph import CONTEXT
from devenv.builds.key import KeyReader, Reading
from devenv.builds.plan import LABEL, LABEL_SERVICE, BuildPlan, Step, image_of, labels_for
from devenv.builds.record import forget_oldest, write_later_key, write_record
from devenv.control.job import Job, Report
from devenv.control.stream import Remark
from devenv.core.errors import DevenvError, Interrupted
from devenv.core.model import Progress, Project

ROUNDS: Final = 3  # how often what is edited while it is built is built again
CHANGING: Final = "changed-while-it-was-built"  # in place of a key: it is no key of anything
_KEPT: Final = ("build", "image", "platform")
_DRIVER_WITHIN: Final = 10.0  # seconds


@dataclass(frozen=True, slots=True)
class Built:
    """One service that was built, in how many seconds. `changing`: its files were edited meanwhile, again and again."""

    service: str
    seconds: float
    changing: bool = False


class Builder:
    """Carries a plan out, once. `flags` go to every `docker compose build`."""

    def __init__(
        self,
        options: ComposeOptions,
        project: Project,
        document: Mapping[str, Any],
        plan: BuildPlan,
        reader: KeyReader,
        images: Callable[[], dict[str, EngineImage]],
        flags: tuple[str, ...] = (),
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._options = replace(
            options, files=("-",), profiles=(), project_name=project.name, project_directory=project.directory
        )
        self._project = project
        self._document = document
        self._definitions = reader.definitions
        self._store = reader.store
        self._plan = plan
        self._images = images
        self._flags = flags
        self._environ = environ
        self._lock = threading.Lock()
        self._jobs: list[Job] = []
        self._interrupted = False
        self._seconds: dict[str, float] = {}  # of each service, from the start of Compose to its last step
        self._driver: bool | None = None
        self.warning = ""  # why what was built could not be written down

    def run(self, report: Report) -> tuple[Built, ...]:
        """Build; `report` is called from several threads. Returns what was built, in the order of the plan.

        A failure lets what already runs end and raises the first one's error; what was built stays and counts.
        """
        todo = {step.service: step for step in self._plan.to_build}
        labels = {step.service: step.key for step in self._plan.steps}
        built: dict[str, Built] = {}
        for attempt in range(1, ROUNDS + 1):
            is_last = attempt == ROUNDS  # it builds without a key, which nobody could vouch for
            self._build(todo, labels | dict.fromkeys(todo, CHANGING) if is_last else labels, report)
            built |= {name: Built(name, self._seconds.get(name, 0.0), is_last) for name in todo}
            if is_last:
                break
            fresh = self._read_again()
            moved = {name for name in labels if fresh[name].key != labels[name]}
            self._write(step for name, step in todo.items() if name not in moved)
            if not moved:
                break
            labels = {name: reading.key for name, reading in fresh.items()}
            again = [step for step in self._plan.steps if step.service in moved]
            todo = {step.service: msgspec.structs.replace(step, reading=fresh[step.service]) for step in again}
        return tuple(built[step.service] for step in self._plan.steps if step.service in built)

    def interrupt(self) -> None:
        """End it as ctrl-c would, from any thread; `run` then raises Interrupted."""
        with self._lock:
            self._interrupted = True
            jobs = tuple(self._jobs)
        for job in jobs:
            job.interrupt()

    def _build(self, todo: Mapping[str, Step], labels: Mapping[str, str], report: Report) -> None:
        """Build these services along the graph."""
        waiting = {name: set(self._plan.graph.bases(name)) & todo.keys() for name in todo}
        needed = {base for bases in waiting.values() for base in bases}
        ended: queue.SimpleQueue[tuple[tuple[str, ...], BaseException | None]] = queue.SimpleQueue()
        running = 0
        failure: BaseException | None = None
        while waiting or running:
            ready = sorted(name for name, bases in waiting.items() if not bases) if failure is None else []
            for group in _groups(ready, needed):
                for name in group:
                    del waiting[name]
                running += 1
                document = self._document_for(group, labels)
                thread = threading.Thread(
                    target=self._build_group, args=(group, document, report, ended), name="devenv-build", daemon=True
                )
                thread.start()
            if not running:
                break
            group, error = ended.get()
            running -= 1
            failure = failure or error
            for bases in waiting.values():
                bases.difference_update(group)
        if failure is not None:
            raise failure

    def _build_group(
        self,
        services: tuple[str, ...],
        document: bytes,
        report: Report,
        ended: queue.SimpleQueue[tuple[tuple[str, ...], BaseException | None]],
    ) -> None:
        began = time.monotonic()
        owners = {f"Image {image}": name for name in services for image in self._images_said(name)}

        def report_timed(record: Progress | Remark) -> None:
            if isinstance(record, Progress):
                if record.parent_id in services:
                    self._seconds[record.parent_id] = time.monotonic() - began
                    record = _named(record)
                elif service := owners.get(record.id):
                    record = replace(record, parent_id=service)
            report(record)

        job = Job(self._options, self._project, "build", self._flags, services, self._environ, document)
        try:
            with self._lock:
                if self._interrupted:
                    raise Interrupted("build was canceled before it began")
                self._jobs.append(job)
            job.run(report_timed)
        except BaseException as error:  # noqa: BLE001  # carried to the thread that waits, and raised there
            ended.put((services, error))
        else:
            ended.put((services, None))

    def _images_said(self, service: str) -> tuple[str, ...]:
        """Return the names that Compose may call a service's image by: with and without the tag that is left out."""
        images = self._definitions[service].images
        return (*images, *(image.removesuffix(":latest") for image in images))

    def _document_for(self, services: Collection[str], labels: Mapping[str, str]) -> bytes:
        """Return a project with the build sections of these services alone."""
        graph = self._plan.graph
        has_bases = any(edge.service in services and edge.kind == CONTEXT for edge in graph.edges)
        # With --pull, a name is looked for in its registry.
        named = has_bases and "--pull" not in self._flags and self._is_engines_builder()
        held = services if named else graph.with_bases(services)
        sections = {}
        for name in held:
            body = self._document["services"][name]
            build = dict(body["build"])
            build["labels"] = {**(build.get("labels") or {}), **labels_for(name, labels[name])}
            if named:  # the image that is there, instead of building it along
                build["additional_contexts"] = {
                    context: self._image_of(value) for context, value in build.get("additional_contexts", {}).items()
                }
            sections[name] = {key: body[key] for key in _KEPT if key in body} | {"build": build}
        project = {"name": self._project.name, "services": sections}
        if "secrets" in self._document:
            project["secrets"] = self._document["secrets"]
        return json.dumps(project).encode()

    def _image_of(self, context: str) -> str:
        service = context.removeprefix("service:")
        return f"docker-image://{self._definitions[service].images[0]}" if service != context else context

    def _is_engines_builder(self) -> bool:
        """Whether BuildKit is the engine's own, which sees the engine's images; a builder in a container does not."""
        if self._driver is None:
            try:
                said = output_of(("docker", "buildx", "inspect"), self._environ, timeout=_DRIVER_WITHIN)
            except DevenvError:
                said = ""  # the build itself says what is wrong
            lines = (line.partition(":") for line in said.splitlines())
            self._driver = any(key == "Driver" and value.strip() == "docker" for key, _, value in lines)
        return self._driver

    def _read_again(self) -> dict[str, Reading]:
        """Read the keys once more, with the images as they were: what differs was edited while it was built."""
        reader = KeyReader(self._definitions, self._plan.images, self._store)
        keys: dict[str, str] = {}
        readings = {}
        for step in self._plan.steps:
            readings[step.service] = reader.read(step.service, self._plan.graph, keys)
            keys[step.service] = readings[step.service].key
        return readings

    def _write(self, steps: Iterable[Step]) -> None:
        images = self._images()
        steps = tuple(steps)
        kept: dict[str, str] = {}  # the keys by the ids of images that are equal to what was built
        for step in steps:
            equal = keep_equal(step.images, step.service, self._plan.images, images, self._environ)
            if equal is not None:
                kept[equal.id] = step.key
                images |= dict.fromkeys(step.images, equal)
        reader = KeyReader(self._definitions, images, self._store)
        now = time.time()
        try:
            for image_id, key in kept.items():
                write_later_key(self._store, image_id, key)
            for step in steps:
                bases = {base: image_of(base, reader) for base in self._plan.graph.bases(step.service)}
                seconds = self._seconds.get(step.service, 0.0)
                write_record(self._store, step.service, step.reading, at=now, seconds=seconds, bases=bases)
            forget_oldest(self._store)
        except OSError as error:
            self.warning = f"{error.filename or self._store.folder}: {error.strerror}"


def _named(record: Progress) -> Progress:
    """Put the service into a step's name, as BuildKit does where it builds several: other calls have equal steps."""
    if record.id.startswith("Step [") and not record.id.startswith(f"Step [{record.parent_id} "):
        return replace(record, id=record.id.replace("Step [", f"Step [{record.parent_id} ", 1))
    return record


def _groups(ready: list[str], needed: Collection[str]) -> list[tuple[str, ...]]:
    """Cut what is ready into calls of Compose: who is waited for gets one of its own, the rest is built in one."""
    rest = tuple(name for name in ready if name not in needed)
    return [*((name,) for name in ready if name in needed), *([rest] if rest else [])]


_WITHIN: Final = 30.0  # seconds


def keep_equal(
    names: Iterable[str],
    service: str,
    before: Mapping[str, EngineImage],
    after: Mapping[str, EngineImage],
    environ: Mapping[str, str] | None = None,
) -> EngineImage | None:
    """Return the service's image of before, if the one that was built is equal and its names could be given back.

    The key's label makes another image of each key. Where what changed is not in the image (a file that no COPY takes,
    a comment), layers and configuration are those of the image before: its name goes back to it, so that nobody
    replaces containers for nothing, and the new one goes away.

    `before` and `after` are the engine's images by name. An image without a key of this service is never kept.
    """
    names = tuple(names)
    old = {image.id: image for name in names if (image := before.get(name)) is not None}
    new = {image.id for name in names if (image := after.get(name)) is not None}
    if len(old) != 1 or len(new) != 1 or any(name not in before for name in names):
        return None
    (image,), (built,) = old.values(), new
    if image.id == built or image.labels.get(LABEL_SERVICE) != service:
        return None
    try:
        one, other = json.loads(_docker(environ, "image", "inspect", image.id, built))
        if _content(one) != _content(other):
            return None
        for name in names:
            _docker(environ, "tag", image.id, name)
    except (DevenvError, ValueError):
        return None  # an engine that forgot it: what was built is as good
    try:
        _docker(environ, "rmi", built)
    except DevenvError:
        return image  # somebody uses it already
    return image


def _content(item: Mapping[str, Any]) -> tuple[Any, ...]:
    config = dict(item.get("Config") or {})
    config["Labels"] = {
        key: value for key, value in (config.get("Labels") or {}).items() if key not in (LABEL, LABEL_SERVICE)
    }
    return (item.get("RootFS"), config, *(item.get(key) for key in ("Os", "Architecture", "Variant")))


def _docker(environ: Mapping[str, str] | None, *arguments: str) -> str:
    return output_of(("docker", *arguments), environ, timeout=_WITHIN)
