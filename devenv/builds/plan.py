"""What has to be built and why: the key of each service compared with the label of the image that is there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

import msgspec

from devenv.backends.docker.plain import EngineImage
from devenv.builds.graph import Graph
from devenv.builds.key import KeyReader, Reading
from devenv.builds.record import Change, Record, changes_since, later_key, read_record
from devenv.core.errors import ProjectError
from devenv.core.text import sanitize

LABEL: Final = "devenv.build.key"
LABEL_SERVICE: Final = "devenv.build.service"  # whose key it is: labels are inherited from base images


class Step(msgspec.Struct, frozen=True):
    """One service of a plan. `why` is empty where nothing has to be done; `changes` are since the image was built.

    `record` is of the image that is there, None where it was built elsewhere or is not kept any more.
    """

    service: str
    images: tuple[str, ...]
    reading: Reading
    why: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    record: Record | None = None
    built_key: str = ""  # the key on the image that is there

    @property
    def is_current(self) -> bool:
        """Whether the image is there and made from just this."""
        return not self.why

    @property
    def key(self) -> str:
        """The key that the image has, or will have."""
        return self.reading.key


class BuildPlan(msgspec.Struct, frozen=True):
    """The steps of the chosen services and their bases, each after its bases."""

    graph: Graph
    steps: tuple[Step, ...]
    images: Mapping[str, EngineImage]  # of the engine, by name, when it was made

    @property
    def to_build(self) -> tuple[Step, ...]:
        """The steps that have to be done."""
        return tuple(step for step in self.steps if not step.is_current)

    @property
    def current(self) -> tuple[Step, ...]:
        """The steps with nothing to do."""
        return tuple(step for step in self.steps if step.is_current)

    @property
    def seconds_saved(self) -> float:
        """How long the last builds of what is current took, as far as they are known."""
        return sum(step.record.seconds for step in self.current if step.record is not None)

    def step(self, service: str) -> Step:
        """Return the step of a service; raises KeyError."""
        return {step.service: step for step in self.steps}[service]


def make_plan(
    reader: KeyReader,
    graph: Graph,
    services: Iterable[str],
    forced: Mapping[str, str] | None = None,
    without_key: dict[str, str] | None = None,
) -> BuildPlan:
    """Return the plan for these services and their bases.

    `forced` says of some services why they are built whatever their key is. Where `without_key` is given, services
    whose key cannot be told are put into it, with the reason, and left out of the plan. Raises ProjectError for a
    circle, and else for a context or a Dockerfile that is not there.
    """
    chosen = graph.with_bases(services)
    keys: dict[str, str] = {}
    building: set[str] = set()
    steps = []
    for service in graph.order():
        if service not in chosen:
            continue
        if without_key is None:
            reading = reader.read(service, graph, keys)
        else:
            known, reason = _read_if_possible(reader, service, graph, keys, without_key)
            if known is None:
                without_key[service] = reason
                continue
            reading = known
        keys[service] = reading.key
        step = _step(service, reader, reading, building & set(graph.bases(service)), (forced or {}).get(service, ""))
        if not step.is_current:
            building.add(service)
        steps.append(step)
    return BuildPlan(graph, tuple(steps), reader.images)


def _read_if_possible(
    reader: KeyReader, service: str, graph: Graph, keys: Mapping[str, str], without_key: Mapping[str, str]
) -> tuple[Reading | None, str]:
    """Return the inputs of a service; where its key would not say what it is made from None, and why."""
    if base := next((name for name in graph.bases(service) if name in without_key), ""):
        return None, f"it is made from {sanitize(base)}"
    try:
        reading = reader.read(service, graph, keys)
    except ProjectError as error:
        return None, error.message
    return (None, reading.unread[0]) if reading.unread else (reading, "")


def _step(service: str, reader: KeyReader, reading: Reading, bases: Collection[str], forced: str) -> Step:
    names = reader.definitions[service].images
    images = {name: reader.images.get(name) for name in names}
    missing = [name for name, image in images.items() if image is None]
    keys = {name: _keys_of(image, service, reader) for name, image in images.items()}
    built_key = keys[names[0]][0]
    record = read_record(reader.store, built_key) if built_key else None
    changes: tuple[Change, ...] = ()
    why = [forced] if forced else []
    why += [f"it is made from {sanitize(base)}, which is built" for base in sorted(bases)]
    why += reading.unread
    if missing:
        why.append(f"there is no image {', '.join(sanitize(name) for name in missing)}")
    elif not built_key:
        why.append("its image was not built by devenv")
    elif any(reading.key not in digests for digests in keys.values()):
        changes = changes_since(record, reading, reader.store) if record is not None else ()
        why.append(changes_text(changes) if changes else "its image was built from something else")
    elif not bases and record is not None and (anew := _made_anew(record, reader)):
        why.append(f"{', '.join(sanitize(base) for base in anew)}, which it is made from, was built anew")
    return Step(service, names, reading, tuple(why), changes, record, built_key)


def _made_anew(record: Record, reader: KeyReader) -> list[str]:
    """Return the bases whose image is not the one any more that this one was made from, though its key may be."""
    return [
        base
        for base, image_id in sorted(record.bases.items())
        if base in reader.definitions and image_id != image_of(base, reader)
    ]


def image_of(service: str, reader: KeyReader) -> str:
    """Return the id of a service's image, "" where there is none."""
    image = reader.images.get(reader.definitions[service].images[0])
    return image.id if image is not None else ""


def labels_for(service: str, key: str) -> dict[str, str]:
    """Return the labels of an image that was built with this key."""
    return {LABEL: key, LABEL_SERVICE: service}


def _keys_of(image: EngineImage | None, service: str, reader: KeyReader) -> tuple[str, ...]:
    """Return what builds of the service made this image, the latest first; of one from elsewhere an empty key."""
    if image is None or image.labels.get(LABEL_SERVICE) != service:
        return ("",)
    label = image.labels.get(LABEL, "")
    later = later_key(reader.store, image.id)
    return (later, label) if later else (label,)


def changes_text(changes: tuple[Change, ...]) -> str:
    """Return a few of the changes in one line."""
    most = 3
    shown = [f"{change.kind} {sanitize(change.name)} {_verb(change)}" for change in changes[:most]]
    more = f" and {len(changes) - most} more" if len(changes) > most else ""
    return f"{', '.join(shown)}{more}"


def _verb(change: Change) -> str:
    if not change.before and change.after:
        return "is new"
    return "is gone" if change.before and not change.after else "changed"
