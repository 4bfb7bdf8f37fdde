"""Revisions that proved themselves: what was applied, and which image digests ran. Kept here and in the cluster.

In the cluster a revision is in the ConfigMap `devenv-deploy-OVERLAY`, beside what it deployed: an account that may
apply an overlay may get, create and patch ConfigMaps, and neither list nor delete anything, nor touch Secrets or
Leases (k8s/rbac/deployer.yaml). So a second machine, and the next run of a pipeline, can go back too. In the user's
state folder are the last few of them, with files that nobody else may read; they are preferred, since whoever may
write ConfigMaps could write there what the deployer's rights would then apply. For the same reason nothing from the
cluster is used but kinds and namespaces that the overlay renders now. Secrets are left out of both places.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from devenv.core.errors import DevenvError

KEPT: Final = 5  # revisions in the state folder, for each overlay in each cluster
MOST_BYTES: Final = 700_000  # of gzip in the cluster: an object may have 1 MiB in etcd, and base64 adds a third
NEVER_KEPT: Final = ("Secret",)


@dataclass(frozen=True, slots=True)
class Revision:
    """What was applied and proved itself. `digests`: of each "workload/container" that ran.

    `inventory` is what was rendered; `left` what was not any more, and is still there.
    """

    id: str
    at: float
    overlay: str
    context: str
    namespace: str
    objects: tuple[dict[str, Any], ...] = ()
    digests: Mapping[str, str] = field(default_factory=dict)
    inventory: tuple[str, ...] = ()
    proven: bool = False  # by looking through the cluster, not only by its status
    left: tuple[str, ...] = ()
    source: str = ""  # "this machine" or "the cluster"

    def packed(self) -> bytes:
        """Return it compressed, the same bytes for the same revision."""
        data = asdict(self) | {"digests": dict(self.digests)}
        del data["source"]
        return gzip.compress(json.dumps(data, sort_keys=True, separators=(",", ":")).encode(), mtime=0)


def make_revision(base: Revision, objects: Sequence[Mapping[str, Any]]) -> Revision:
    """Return the revision with these objects, without those that are never kept."""
    kept = tuple(dict(item) for item in objects if item.get("kind") not in NEVER_KEPT)
    return replace(base, objects=kept)


def unpack(data: bytes, source: str) -> Revision:
    """Read what `packed` wrote; raises DevenvError for anything else."""
    try:
        found = json.loads(gzip.decompress(data))
        return Revision(
            id=str(found["id"]),
            at=float(found["at"]),
            overlay=str(found["overlay"]),
            context=str(found["context"]),
            namespace=str(found["namespace"]),
            objects=tuple(item for item in found["objects"] if isinstance(item, dict)),
            digests={str(key): str(value) for key, value in found["digests"].items()},
            inventory=tuple(str(item) for item in found["inventory"]),
            proven=bool(found["proven"]),
            left=tuple(str(item) for item in found.get("left", ())),
            source=source,
        )
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DevenvError(f"the record of the last deployment in {source} cannot be read: {error}") from error


class LocalRevisions:
    """The newest revisions of one overlay in one cluster, as files in a folder of their own."""

    def __init__(self, folder: Path, server: str, context: str, namespace: str, overlay: str) -> None:
        name = hashlib.sha256("\0".join((server, context, namespace, overlay)).encode()).hexdigest()[:16]
        self.folder = folder / f"{_safe(overlay)}-{name}"

    def save(self, revision: Revision) -> str:
        """Keep it, and drop what is too old; return "" or why it could not be kept."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = self.folder / f"{int(revision.at * 1000):015d}-{_safe(revision.id)}.json.gz"
            temporary = file.with_suffix(".new")
            temporary.touch(mode=0o600)
            temporary.write_bytes(revision.packed())
            temporary.replace(file)
            for old in self._files()[:-KEPT]:
                old.unlink(missing_ok=True)
        except OSError as error:
            return f"the revision could not be kept in {self.folder}: {error.strerror}"
        return ""

    def newest(self) -> Revision | None:
        """Return the newest that can be read, None where there is none."""
        for file in reversed(self._files()):
            try:
                return unpack(file.read_bytes(), "this machine")
            except (OSError, DevenvError):  # half a disk, a newer format: an older one is as good a way back
                continue
        return None

    def find(self, revision_id: str) -> Revision | None:
        """Return the revision of that id, None where it is not here."""
        files = [file for file in self._files() if file.name.endswith(f"-{_safe(revision_id)}.json.gz")]
        try:
            return unpack(files[-1].read_bytes(), "this machine") if files else None
        except (OSError, DevenvError):  # the cluster has it too
            return None

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.json.gz"))


def encode(revision: Revision) -> str:
    """Return what goes into a ConfigMap's binaryData; "" where it is too large for one."""
    packed = revision.packed()
    return b64encode(packed).decode() if len(packed) <= MOST_BYTES else ""


def decode(text: str) -> Revision:
    """Read a ConfigMap's binaryData; raises DevenvError."""
    try:
        return unpack(b64decode(text, validate=True), "the cluster")
    except ValueError as error:
        raise DevenvError(f"the record of the last deployment in the cluster cannot be read: {error}") from error


def trusted(revision: Revision, rendered: Sequence[Mapping[str, Any]], namespace: str) -> Revision:
    """Return a revision from the cluster with only the objects of kinds and namespaces that are rendered now."""
    kinds = {(item.get("apiVersion"), item.get("kind")) for item in rendered}
    places = {(item.get("metadata") or {}).get("namespace") for item in rendered} | {namespace}
    kept = tuple(
        item
        for item in revision.objects
        if (item.get("apiVersion"), item.get("kind")) in kinds
        and (item.get("metadata") or {}).get("namespace") in places
    )
    return replace(revision, objects=kept)


def _safe(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in name)[:60]
