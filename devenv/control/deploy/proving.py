"""Is what runs what was rendered: the digests that the kubelets report against those that are meant."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from devenv.control.deploy.images import is_pinned, uses_of
from devenv.control.deploy.records import Check, Status
from devenv.control.kube.pod_stages import PodStages, digest_of

NAME = "image digests"
_CONTENT_TAG = re.compile(r":devenv-([0-9a-f]{12})\Z")  # shipping.py names an image so by its id
_SHORT = 19  # characters of "sha256:" and as much of it as docker shows


def running_digests(pods: Sequence[PodStages]) -> dict[str, str]:
    """Return the digest of each "workload/container"; "" where pods of one workload differ or tell none."""
    found: dict[str, set[str]] = {}
    for pod in pods:
        for container, digest in (pod.digests or {}).items():
            found.setdefault(f"{pod.workload}/{container}", set()).add(digest)
    return {name: next(iter(digests)) if len(digests) == 1 else "" for name, digests in found.items()}


def check_digests(
    objects: Sequence[Mapping[str, Any]], pods: Sequence[PodStages], recorded: Mapping[str, str] | None = None
) -> Check:
    """Compare what runs with what the objects name by digest, and with what ran when the revision was recorded.

    An image that is named by tag alone proves nothing by its name: which digest runs is then told, not judged. Where
    a runtime reports the id of the image that was built here, that is what was meant; some report another digest.
    """
    wanted = {f"{use.workload}/{use.container}": use.image for use in uses_of(objects)}
    wrong, agreed, told = [], [], []
    for name, digest in sorted(running_digests(pods).items()):
        image = wanted.get(name, "")
        meant = digest_of(image) if is_pinned(image) else (recorded or {}).get(name, "")
        content = _CONTENT_TAG.search(image)
        if content and digest.startswith(f"sha256:{content[1]}"):
            meant = digest
        if not digest:
            wrong.append(f"the pods of {name} do not all run the same image")
        elif not meant:
            told.append(f"{name} runs {digest[:_SHORT]}, which {image or 'its name'} does not state")
        elif meant != digest:
            wrong.append(f"{name} runs {digest[:_SHORT]} instead of {meant[:_SHORT]}")
        else:
            agreed.append(f"{name} runs {digest[:_SHORT]}")
    if wrong:
        return Check(NAME, Status.FAILED, "; ".join(wrong))
    if not agreed and not told:
        return Check(NAME, Status.SKIPPED, "no running pod belongs to what was deployed")
    return Check(NAME, Status.DONE, "; ".join([*agreed, *told]))
