"""Which problems are excused: by an annotation of the object, or of the kustomization for what is in no object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from typing import Any

from devenv.core.manifest_settings import Allowance
from devenv.manifests import access
from devenv.manifests.model import Manifest, Place, Problem
from devenv.manifests.rendering import Rendering

PREFIX = "devenv.io/ignore."


class Exceptions:
    """The exceptions of one rendering, with what was used of them."""

    def __init__(self, rendering: Rendering, rule_ids: Set[str], active: Set[str]) -> None:
        self._rendering = rendering
        self._rules = rule_ids
        self._active = active
        self._used: set[tuple[int, str]] = set()
        self.used_allowances: set[Allowance] = set()

    def reason(self, rule: str, problem: Problem) -> str:
        """Return why a problem is excused, empty where it is not."""
        key, annotations = self._annotations(problem.subject)
        reason = annotations.get(f"{PREFIX}{rule}")
        if isinstance(reason, str) and reason.strip():
            self._used.add((key, rule))
            return reason.strip()
        for allowance in self._rendering.settings.compose.allow:
            if allowance.rule == rule and problem.item and self._covers(allowance, problem.item):
                self.used_allowances.add(allowance)
                return allowance.reason
        return ""

    def problems(self) -> Iterator[tuple[str, Problem]]:
        """Yield what is wrong with the exceptions themselves; ask after every `reason`."""
        subjects: list[Manifest | Place] = [*self._rendering.manifests, self._rendering.place]
        for subject in subjects:
            key, annotations = self._annotations(subject)
            for annotation, reason in annotations.items():
                if not annotation.startswith(PREFIX):
                    continue
                rule = annotation.removeprefix(PREFIX)
                path = ("metadata", "annotations", annotation)
                if rule not in self._rules:
                    yield "exception-unknown", Problem(subject, path, f"there is no rule {rule}")
                elif not isinstance(reason, str) or not reason.strip():
                    yield "exception-reason", Problem(subject, path, f"the exception from {rule} has no reason")
                elif rule in self._active and (key, rule) not in self._used:
                    yield "exception-unused", Problem(subject, path, f"nothing here breaks {rule}")

    def _annotations(self, subject: Manifest | Place) -> tuple[int, Mapping[str, Any]]:
        if isinstance(subject, Manifest):
            return id(subject.data), access.mapping(subject.data, "metadata", "annotations")
        root = self._rendering.tree.root
        return id(root), access.mapping(root.data, "metadata", "annotations")

    def _covers(self, allowance: Allowance, item: str) -> bool:
        if allowance.overlays and self._rendering.name not in allowance.overlays:
            return False
        service, _, rest = item.partition("/")
        return allowance.service == service and allowance.item in ("", rest)
