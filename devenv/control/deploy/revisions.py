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
import io
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from devenv.core.stored import MOST, Moment, Unreadable, find, read_bytes, readable

KEPT: Final = 5  # revisions in the state folder, for each overlay in each cluster
MOST_BYTES: Final = 700_000  # of gzip in the cluster: an object may have 1 MiB in etcd, and base64 adds a third
NEVER_KEPT: Final = ("Secret",)


class Revision(msgspec.Struct, frozen=True):
    """What was applied and proved itself. `digests`: of each "workload/container" that ran.

    `inventory` is what was rendered; `left` what was not any more, and is still there.
    """

    id: str
    at: Moment
    overlay: str
    context: str
    namespace: str
    objects: tuple[dict[str, Any], ...] = ()
    digests: dict[str, str] = {}
    inventory: tuple[str, ...] = ()
    proven: bool = False  # by looking through the cluster, not only by its status
    left: tuple[str, ...] = ()
    source: str = ""  # "this machine" or "the cluster"

    def packed(self) -> bytes:
        """Return it compressed, the same bytes for the same revision."""
        data = msgspec.json.encode(replace(self, source=""), order="deterministic")
        return gzip.compress(data, mtime=0)


def make_revision(base: Revision, objects: Sequence[Mapping[str, Any]]) -> Revision:
    """Return the revision with these objects, without those that are never kept."""
    kept = tuple(dict(item) for item in objects if item.get("kind") not in NEVER_KEPT)
    return replace(base, objects=kept)


def unpack(data: bytes, source: str) -> Revision:
    """Read what `packed` wrote; raises Unreadable for anything else."""
    with readable(f"the record of the last deployment in {source}"):
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
                text = file.read(MOST)  # a larger one is cut off, and no JSON
        except (EOFError, zlib.error) as error:
            raise ValueError(str(error)) from error
        return replace(msgspec.json.decode(text, type=Revision), source=source)


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
        return self._first(reversed(self._files()))

    def find(self, revision_id: str) -> Revision | None:
        """Return the revision of that id, None where it is not here."""
        return self._first(file for file in self._files() if file.name.endswith(f"-{_safe(revision_id)}.json.gz"))

    def _first(self, files: Iterable[Path]) -> Revision | None:
        for file in files:
            with suppress(Unreadable):  # half a disk, a newer format: an older one, or the cluster's, is as good
                return unpack(read_bytes(file) or b"", "this machine")
        return None

    def _files(self) -> list[Path]:
        return sorted(find(self.folder, "*.json.gz"))


def encode(revision: Revision) -> str:
    """Return what goes into a ConfigMap's binaryData; "" where it is too large for one."""
    packed = revision.packed()
    return b64encode(packed).decode() if len(packed) <= MOST_BYTES else ""


def decode(text: str) -> Revision:
    """Read a ConfigMap's binaryData; raises Unreadable."""
    with readable("the record of the last deployment in the cluster"):
        return unpack(b64decode(text, validate=True), "the cluster")


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
