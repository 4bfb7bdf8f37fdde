"""What the smoke tests last said about each service, for the table. Read in a thread, after the first paint."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from devenv.errors import DevenvError
from devenv.model import Resource
from devenv.text import human_age
from devenv.tui.facts import Cell, Tone
from devenv.verify.service_verdicts import ServiceVerdict, ServiceVerdicts
from devenv.verify.subjects import CONFIG_HASH, image_contents
from devenv.verify.verdict import Verdict

_SIGNS: Final[Mapping[Verdict, tuple[str, Tone]]] = {
    Verdict.PASSED: ("✓", "good"),
    Verdict.FAILED: ("✗", "bad"),
    Verdict.INCONCLUSIVE: ("?", "warn"),
    Verdict.ERROR: ("✗", "bad"),
}
Contents = Callable[[Iterable[str]], Mapping[str, str]]


@dataclass
class Verdicts:
    """The verdicts of one project's services, and the contents of the images that its containers run from.

    `read` may be called in any thread; it makes a new object, and this one never changes afterwards.
    """

    project: str
    services: Mapping[str, ServiceVerdict] = field(default_factory=dict)
    contents: Mapping[str, str] = field(default_factory=dict)
    stamp: tuple[int, int] = (0, 0)  # of the history's file when it was read
    problem: str = ""  # why it could not be read

    def wants(self, project: str, images: frozenset[str]) -> bool:
        """Whether it has to be read again: another project, a new run, or images that it has not looked into."""
        if project != self.project or stamp_of(ServiceVerdicts().path) != self.stamp:
            return True
        return bool(self.services) and not images <= self.contents.keys()

    def read(self, project: str, images: frozenset[str], contents: Contents = image_contents) -> Verdicts:
        """Read anew; a history that cannot be read, or an engine that does not answer, is told as the problem."""
        history, problem = ServiceVerdicts(), ""
        stamp = stamp_of(history.path)
        try:
            services = history.of(project) if _is_text(project) else {}
        except DevenvError as error:
            services, problem = {}, error.message
        known = {image: self.contents[image] for image in images if self.contents.get(image)}
        unknown = {image for image in images - known.keys() if _is_text(image)}
        if services and unknown:
            try:
                known |= contents(unknown)
            except DevenvError as error:
                problem = error.message
        return Verdicts(project, services, dict.fromkeys(images, "") | known, stamp, problem)

    def cell(self, resource: Resource, now: float) -> Cell:
        """Return the last verdict about a container's service with its age, and whether it is about what runs now."""
        found = self._of(resource)
        if found is None:
            return Cell("")
        age = human_age(now - found.at)
        sign, tone = _SIGNS[found.verdict]
        if self._stale(resource, found):
            return Cell(f"stale {sign} {age}", "quiet")
        return Cell(f"{sign} {found.verdict} {age}", tone)

    def detail(self, resource: Resource, now: float) -> list[tuple[str, str]]:
        """Return the same in a sentence, for the details."""
        found = self._of(resource)
        if found is None:
            return []
        tests = f"{found.tests} test{'s' if found.tests != 1 else ''}"
        text = f"{found.verdict} {human_age(now - found.at)} ago, by {tests} of devenv verify"
        reason = self._stale(resource, found)
        style = "$quiet" if reason else {"good": "$success", "warn": "$warning"}.get(_SIGNS[found.verdict][1], "$error")
        parts = [("\nVerified\n", "bold $primary"), (f"  {text}\n", style)]
        if reason:
            parts.append((f"  stale: {reason}\n", "$quiet"))
        return parts

    def _of(self, resource: Resource) -> ServiceVerdict | None:
        if resource.project != self.project or not resource.service or resource.one_off:
            return None
        return self.services.get(resource.service)

    def _stale(self, resource: Resource, found: ServiceVerdict) -> str:
        """Say why the verdict is not about what is there now; "" where it is, or nothing is there to compare."""
        if not resource.container_id:
            return ""
        config = dict(resource.labels).get(CONFIG_HASH, "")
        if found.subject.config != config:
            return "the service's configuration has changed since"
        content = self.contents.get(resource.image_id)
        if content is None and found.subject.image:
            return ""  # not looked into yet
        return "" if found.subject.image and content == found.subject.image else "the image has changed since"


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
        found = path.stat()
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_size)
