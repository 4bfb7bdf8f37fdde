"""What a Compose project left over on the engine: found and named exactly before anybody is asked, then removed.

Only what carries the project's label counts. The engine's build cache belongs to no project: it is named, and stays.
"""

from __future__ import annotations

import os
import shlex
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final

from msgspec.structs import replace

from devenv.backends.compose import ComposeOptions, resolve
from devenv.backends.docker.client import connect, engine_errors
from devenv.backends.docker.endpoint import resolve_endpoint
from devenv.backends.docker.parse import LABEL_PROJECT
from devenv.backends.docker.snapshot import DISK_USE_WITHIN
from devenv.backends.docker.watcher import list_project
from devenv.control.protocol import Plan
from devenv.control.reach import beyond
from devenv.control.runner import Report
from devenv.control.verbs import VERBS
from devenv.core.errors import DevenvError, Interrupted
from devenv.core.model import Beyond, Progress, Project, Resource
from devenv.core.text import counted, human_bytes, sanitize

_WORDS: Final = {"containers": "Container", "running": "Container", "images": "Image", "volumes": "Volume"}
_CACHE: Final = "The engine's build cache is no project's and stays: {}. `docker builder prune` frees it."


def survey(plan: Plan, project: Project, options: ComposeOptions, environ: Mapping[str, str] | None = None) -> Plan:
    """Return the plan with exactly what it removes, by id; where that is nothing, it has no options and asks nothing.

    A container is an orphan where no profile of the files has its service; without the files nobody knows, and none
    is. Raises ProjectError where not all profiles can be resolved, EngineUnreachable, EngineForbidden.
    """
    every = project if project.by_labels else resolve(replace(options, profiles=("*",)), (), environ)
    declared = {service.name for service in (*project.services, *every.services)}
    endpoint = resolve_endpoint(os.environ if environ is None else environ)
    client = connect(endpoint)
    try:
        listed = list_project(client, endpoint, project.name)
        with engine_errors(endpoint):
            url = f"{client.base_url}/v{client.api_version}/system/df"  # the SDK's own `df` reads everything
            kinds = ["image", "build-cache", *(["volume"] if plan.volumes else [])]
            answer = client.get(url, params={"type": kinds}, timeout=DISK_USE_WITHIN)
            answer.raise_for_status()
            used = answer.json()
            label = f"{LABEL_PROJECT}={project.name}"
            unused = client.volumes(filters={"dangling": True, "label": label}).get("Volumes") or ()
    finally:
        client.close()
    containers = [item for item in listed if _is_left(item, declared)]
    images = [item for item in used.get("Images") or () if _is_dangling(item, project.name)]
    names = sorted(sanitize(str(item["Name"])) for item in unused)
    sizes = {item["Name"]: (item.get("UsageData") or {}).get("Size", -1) for item in used.get("Volumes") or ()}
    losses = tuple(f"{name} with {human_bytes(sizes[name])}" for name in names if sizes.get(name, -1) >= 0)
    sentences = []
    if containers:
        described = (f"{item.name} ({beyond(item, declared)}, {item.state.value})" for item in containers)
        sentences.append(f"Takes {counted(len(containers), 'container')}: {', '.join(sorted(described))}.")
    if images:
        size = sum(max(0, item["Size"] - max(0, item.get("SharedSize", 0))) for item in images)
        sentences.append(f"Takes {counted(len(images), 'image')} without a name, of {human_bytes(size)}.")
    if names and plan.volumes:
        size = sum(max(0, sizes.get(name, 0)) for name in names)
        number = f"{counted(len(names), 'volume')} with {human_bytes(size)}"
        sentences.append(f"Deletes for ever {number}: {', '.join(names)}.")
    elif names:
        number = counted(len(names), "unused volume")
        sentences.append(f"Leaves {number}: {', '.join(names)}. To delete them: devenv prune --volumes.")
    cache = sum(item.get("Size", 0) for item in used.get("BuildCache") or () if not item.get("Shared"))
    sentences += [_CACHE.format(human_bytes(cache))] if cache else []
    taken = {
        "containers": [item.container_id for item in containers if not item.state.is_up],
        "running": [item.container_id for item in containers if item.state.is_up],
        "images": [str(item["Id"]) for item in images],
        "volumes": names if plan.volumes else [],
    }
    named = tuple((kind, ",".join(ids)) for kind, ids in taken.items() if ids)
    what = VERBS["prune"].what.format(targets=f"project {project.name}")
    sentences.insert(0, what if named else f"Nothing of project {project.name} is to be freed.")
    line = ["devenv", "prune", "--project-name", project.name, *(["--volumes"] if plan.volumes else [])]
    return replace(
        plan,
        sentences=tuple(sentences),
        losses=(losses or tuple(names)) if plan.volumes else (),
        volumes=bool(taken["volumes"]),
        needs_confirmation=plan.needs_confirmation and bool(named),
        options=named,
        command=shlex.join(line),
    )


def _is_left(container: Resource, declared: Collection[str]) -> bool:
    if container.one_off:
        return not container.state.is_up
    return beyond(container, declared) is Beyond.ORPHAN


def _is_dangling(image: Mapping[str, Any], project: str) -> bool:
    tags = [tag for tag in image.get("RepoTags") or () if tag != "<none>:<none>"]
    return not tags and image.get("Containers") == 0 and (image.get("Labels") or {}).get(LABEL_PROJECT) == project


class PruneJob:
    """Removes what a plan of `survey` names, and nothing else; what somebody uses by now is left, and reported."""

    def __init__(self, plan: Plan, environ: Mapping[str, str] | None = None) -> None:
        self._plan = plan
        self._environ = os.environ if environ is None else environ
        self._stop = threading.Event()
        self.steps = 0

    def run(self, report: Report) -> None:
        """Remove one after the other; raises Interrupted, and DevenvError with what could not be removed."""
        endpoint = resolve_endpoint(self._environ)
        client = connect(endpoint)
        removals: dict[str, Callable[[str], object]] = {
            "containers": client.remove_container,
            "running": lambda name: client.remove_container(name, force=True),
            "images": client.remove_image,
            "volumes": client.remove_volume,
        }
        failed: list[DevenvError] = []
        try:
            for kind, name in self._named():
                if self._stop.is_set():
                    raise Interrupted(f"prune was interrupted: {counted(self.steps, 'thing')} went before")
                shown = name if kind == "volumes" else name.removeprefix("sha256:")[:12]
                what = f"{_WORDS[kind]} {shown}"
                try:
                    with engine_errors(endpoint):
                        removals[kind](name)
                except DevenvError as error:
                    failed.append(error)
                    report(Progress(what, "Left", "error", error.message))
                else:
                    self.steps += 1
                    report(Progress(what, "Removed", "done"))
        finally:
            client.close()
        if failed:
            failed[0].also = (*failed[0].also, *failed[1:])
            raise failed[0]

    def interrupt(self) -> None:
        """Let it end after what it is at."""
        self._stop.set()

    def _named(self) -> Iterator[tuple[str, str]]:
        for kind, names in self._plan.options:
            yield from ((kind, name) for name in names.split(","))
