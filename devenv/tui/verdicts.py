"""What the smoke tests last said about each service, for the table. Read in a thread, after the first paint."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from devenv.core.errors import DevenvError
from devenv.core.model import Resource, Runtime
from devenv.core.text import human_age
from devenv.runs.criteria import Verdict
from devenv.tui.table.cells import Cell, Tone
from devenv.verify.service_verdicts import (
    CONFIG_HASH,
    ServiceVerdict,
    ServiceVerdicts,
    digests,
    image_contents,
    place_of,
)

_SIGNS: Final[Mapping[Verdict, tuple[str, Tone]]] = {
    Verdict.PASSED: ("✓", "good"),
    Verdict.FAILED: ("✗", "bad"),
    Verdict.INCONCLUSIVE: ("?", "warn"),
    Verdict.ERROR: ("✗", "bad"),
}
Contents = Callable[[Iterable[str]], Mapping[str, str]]


@dataclass
class Verdicts:
    """The verdicts about services, and the contents of the images that the project's containers run from.

    `read` may be called in any thread; it makes a new object, and this one never changes afterwards.
    """

    project: str = ""
    places: frozenset[tuple[str, str]] = frozenset()  # context and namespace
    services: Mapping[tuple[str, str], ServiceVerdict] = field(default_factory=dict)  # by project or place, and name
    contents: Mapping[str, str] = field(default_factory=dict)
    stamp: tuple[int, int] = (0, 0)  # of the history's file when it was read
    problem: str = ""  # why it could not be read

    def wants(self, project: str, places: frozenset[tuple[str, str]], images: frozenset[str]) -> bool:
        """Whether it has to be read again: another project, a new run, or images that it has not looked into."""
        if (project, places) != (self.project, self.places) or stamp_of(ServiceVerdicts().path) != self.stamp:
            return True
        return bool(self.services) and not images <= self.contents.keys()

    def read(
        self,
        project: str,
        places: frozenset[tuple[str, str]],
        images: frozenset[str],
        contents: Contents = image_contents,
    ) -> Verdicts:
        """Read anew about services of a Compose project, and of places (context, namespace) in clusters.

        `images` are those that the project's containers run from. A history that cannot be read, or an engine that does
        not answer, is shown as the problem.
        """
        history = ServiceVerdicts(lenient=True)
        homes = (project, *(place_of(*place) for place in places))
        stamp = stamp_of(history.path)
        services = {
            (home, name): verdict for home in filter(_is_text, homes) for name, verdict in history.of(home).items()
        }
        problem = history.problem
        known = {image: self.contents[image] for image in images if self.contents.get(image)}
        unknown = {image for image in images - known.keys() if _is_text(image)}
        if services and unknown:
            try:
                known |= contents(unknown)
            except DevenvError as error:
                problem = error.message
        return Verdicts(project, places, services, dict.fromkeys(images, "") | known, stamp, problem)

    def cell(self, resource: Resource, now: float, running: Iterable[str] = ()) -> Cell:
        """Return the last verdict about a service with its age, and whether it is about what runs now.

        `running` are the images that a workload's pods run, as the kubelets report them.
        """
        last = self._of(resource)
        if last is None:
            return Cell("")
        age = human_age(now - last.at)
        sign, tone = _SIGNS[last.verdict]
        if self._stale(resource, last, running):
            return Cell(f"stale {sign} {age}", "quiet")
        return Cell(f"{sign} {last.verdict} {age}", tone)

    def detail(self, resource: Resource, now: float, running: Iterable[str] = ()) -> list[tuple[str, str]]:
        """Return the same in a sentence, for the details."""
        last = self._of(resource)
        if last is None:
            return []
        tests = f"{last.tests} test{'s' if last.tests != 1 else ''}"
        how = " --target kubernetes" if resource.runtime is Runtime.KUBERNETES else ""
        text = f"{last.verdict} {human_age(now - last.at)} ago, by {tests} of devenv verify{how}"
        reason = self._stale(resource, last, running)
        style = "$quiet" if reason else {"good": "$success", "warn": "$warning"}.get(_SIGNS[last.verdict][1], "$error")
        parts = [("\nVerified\n", "bold $primary"), (f"  {text}\n", style)]
        if reason:
            parts.append((f"  stale: {reason}\n", "$quiet"))
        return parts

    def _of(self, resource: Resource) -> ServiceVerdict | None:
        if not resource.service or resource.one_off:
            return None
        in_cluster = resource.runtime is Runtime.KUBERNETES
        home = place_of(resource.context, resource.namespace) if in_cluster else resource.project
        return self.services.get((home, resource.service))

    def _stale(self, resource: Resource, last: ServiceVerdict, running: Iterable[str]) -> str:
        """Say why the verdict is not about what is there now; "" where it is, or nothing is there to compare."""
        if resource.runtime is Runtime.KUBERNETES:
            if last.subject.config != resource.config_hash:
                return "the workload's pod template has changed since"
            others = set(digests(running).split()) - set(last.subject.image.split())
            return "the image has changed since" if others else ""
        if not resource.container_id:
            return ""
        config = dict(resource.labels).get(CONFIG_HASH, "")
        if last.subject.config != config:
            return "the service's configuration has changed since"
        content = self.contents.get(resource.image_id)
        if content is None and last.subject.image:
            return ""  # not looked into yet
        return "" if last.subject.image and content == last.subject.image else "the image has changed since"


def _is_text(name: str) -> bool:
    """Whether a name that came from an engine can be asked for at all: JSON may bring half a surrogate pair."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def stamp_of(path: Path) -> tuple[int, int]:
    """Return what changes when the file does."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_size)
