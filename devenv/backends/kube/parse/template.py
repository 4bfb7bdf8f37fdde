"""What the pods of a workload are made of, as a hash that is the same for every copy of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from devenv.backends.kube.parse.common import mapping, mappings

# Written by `kubectl rollout restart` (k8s.io/kubectl, pkg/polymorphichelpers/objectrestarter.go).
RESTARTED: Final = "kubectl.kubernetes.io/restartedAt"
# A copy in another namespace has priority classes of its own, and its images may have other names: what runs counts.
_OF_THE_COPY: Final = frozenset({"priorityClassName", "priority"})


def template_hash(raw: Mapping[str, Any]) -> str:
    """Return the hash of the pod template; a restart and the images' names make no difference."""
    template = mapping(mapping(raw.get("spec")).get("template"))
    meta, spec = mapping(template.get("metadata")), mapping(template.get("spec"))
    annotations = {name: value for name, value in mapping(meta.get("annotations")).items() if name != RESTARTED}
    kept = {name: value for name, value in spec.items() if name not in _OF_THE_COPY}
    for group in ("initContainers", "containers"):
        if group in kept:
            kept[group] = [_without_image(item) for item in mappings(kept[group])]
    described = json.dumps([meta.get("labels"), annotations, kept], sort_keys=True)
    return hashlib.sha256(described.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _without_image(container: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in container.items() if name != "image"}
