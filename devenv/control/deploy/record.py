"""What is kept of the deployments of an overlay: the lock of the one under way, and the last that proved themselves.

Both are in the ConfigMap `devenv-deploy-OVERLAY`, beside what is deployed: an account that may apply an overlay may
get, create and patch ConfigMaps, and neither list nor delete anything, nor touch Secrets or Leases
(k8s/rbac/deployer.yaml). So a second machine, and the next run of a pipeline, can go back too. In the user's state
folder are the last few revisions, with files that nobody else may read; they are preferred, since whoever may write
ConfigMaps could write there what the deployer's rights would then apply. For the same reason nothing from the cluster
is used but kinds and namespaces that the overlay renders now. Secrets are left out of both places.
"""

from __future__ import annotations

import getpass
import gzip
import hashlib
import io
import json
import os
import platform
import re
import threading
import time
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import Conflict, Forbidden, KubeError, NotFound
from devenv.backends.kube.kinds import CONFIG_MAPS
from devenv.core.decode import from_json
from devenv.core.errors import DevenvError, Refused
from devenv.core.stored import MOST, Moment, Unreadable, find, make_private, read_bytes, readable
from devenv.core.text import sanitize

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
        return replace(from_json(text, Revision), source=source)


class LocalRevisions:
    """The newest revisions of one overlay in one cluster, as files in a folder of their own."""

    def __init__(self, folder: Path, server: str, context: str, namespace: str, overlay: str) -> None:
        name = hashlib.sha256("\0".join((server, context, namespace, overlay)).encode()).hexdigest()[:16]
        self.folder = folder / f"{_safe(overlay)}-{name}"

    def save(self, revision: Revision) -> str:
        """Keep it, and drop what is too old; return "" or why it could not be kept."""
        try:
            make_private(self.folder)
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

    def before(self) -> Revision | None:
        """Return the newest before the last one that can be read, None where there is none."""
        return self._first(reversed(self._files()[:-1]))

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


def kept_revisions(folder: Path) -> Iterator[Revision]:
    """Yield the revisions of all overlays and clusters that are kept below a folder and can be read."""
    for file in sorted(find(folder, "*/*.json.gz")):
        with suppress(Unreadable):
            yield unpack(read_bytes(file) or b"", "this machine")


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


LOCK: Final = "devenv.io/deploying"
HELD: Final = 60.0  # seconds: a deployment that does not renew its lock for so long is dead
RENEW: Final = 20.0
_MERGE: Final = "application/merge-patch+json"
_MANAGER: Final = "devenv-deploy"  # not apply's manager: what is kept here must survive every apply


class DeploymentRecord:
    """One overlay's ConfigMap in one namespace. What an account may not do is left out, and `notes` say so."""

    def __init__(
        self, client: KubeClient, namespace: str, overlay: str, clock: Callable[[], float] = time.time
    ) -> None:
        self.name = f"devenv-deploy-{_dns(overlay)}"
        self.namespace = namespace
        self.notes: list[str] = []
        self._client = client
        self._clock = clock
        self._overlay = overlay
        self._held = ""
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._renewer: threading.Thread | None = None

    def take(self) -> None:
        """Take the lock and keep it until `release`; raises Refused while somebody else has it."""
        me = {"who": _who(), "id": f"{os.getpid()}-{time.monotonic_ns():x}", "since": _shown(self._clock())}
        try:
            for _ in range(3):
                item = self._get()
                self._refuse_other(item)
                try:
                    self._write_lock(item, me)
                except Conflict:
                    continue  # somebody wrote in between: look who
                self._held = me["id"]
                break
            else:
                raise Refused(f"others write {self.name} in {self.namespace} all the time", "Try again in a moment.")
        except (Forbidden, NotFound) as error:
            self.notes.append(f"other machines do not see that this deployment runs: {sanitize(error.message)}")
        if self._held:
            self._renewer = threading.Thread(target=self._renew, args=(me,), name="devenv-deploy-lock", daemon=True)
            self._renewer.start()

    def release(self) -> None:
        """Give the lock back; a lock that cannot be given back ends by itself."""
        self._over.set()
        if self._renewer is not None:
            self._renewer.join(5.0)
        if not self._held:
            return
        self._held = ""
        try:
            self._patch({"metadata": {"annotations": {LOCK: None}}})
        except KubeError as error:
            self.notes.append(f"the lock ends by itself in {HELD:.0f} s: {sanitize(error.message)}")

    def last(self) -> Revision | None:
        """Return the last revision that succeeded; None where none is recorded or it cannot be read."""
        try:
            item = self._get()
        except Forbidden as error:
            self.notes.append(f"the cluster's record cannot be read: {sanitize(error.message)}")
            return None
        packed = ((item or {}).get("binaryData") or {}).get("revision")
        if not isinstance(packed, str):
            return None
        try:
            return decode(packed)
        except DevenvError as error:
            self.notes.append(error.message)
            return None

    def save(self, revision: Revision) -> str:
        """Record the revision; return "" or why that could not be done."""
        packed = encode(revision)
        if not packed:
            return "it is too large for a ConfigMap, so it is kept on this machine only"
        about = {"id": revision.id, "at": _shown(revision.at), "who": _who(), "objects": len(revision.objects)}
        body = {"data": {"about": json.dumps(about)}, "binaryData": {"revision": packed}}
        try:
            try:
                self._patch(body)
            except NotFound:
                self._create(body)
        except KubeError as error:
            return f"the cluster did not take the record: {sanitize(error.message)}"
        return ""

    def _refuse_other(self, item: dict[str, Any] | None) -> None:
        held = _annotations(item).get(LOCK)
        try:
            other = json.loads(held) if held else {}
            until = float(other.get("until", 0))
        except (ValueError, TypeError, AttributeError, RecursionError):
            return  # not ours: nothing that devenv wrote looks so
        if other and until > self._clock():
            who, since = sanitize(str(other.get("who"))), sanitize(str(other.get("since")))
            raise Refused(
                f"{self._overlay} is being deployed to {self.namespace} by {who} since {since}",
                f"Wait for it. A deployment that died gives way within {HELD:.0f} s.",
            )

    def _write_lock(self, item: dict[str, Any] | None, me: dict[str, str]) -> None:
        annotations = {LOCK: json.dumps({**me, "until": self._clock() + HELD})}
        if item is None:
            self._create({"metadata": {"annotations": annotations}})
        else:
            version = item["metadata"]["resourceVersion"]
            self._patch({"metadata": {"resourceVersion": version, "annotations": annotations}})

    def _renew(self, me: dict[str, str]) -> None:
        while not self._over.wait(RENEW):
            try:
                value = json.dumps({**me, "until": self._clock() + HELD})
                self._patch({"metadata": {"annotations": {LOCK: value}}})
            except KubeError as error:
                note = f"the lock could not be renewed: {sanitize(error.message)}"
                if note not in self.notes:
                    self.notes.append(note)

    def _get(self) -> dict[str, Any] | None:
        try:
            item: dict[str, Any] = self._client.get(CONFIG_MAPS.path(self.namespace, self.name))
        except NotFound:
            return None
        return item

    def _create(self, body: dict[str, Any]) -> None:
        labels = {"app.kubernetes.io/managed-by": "devenv", "devenv.io/overlay": _dns(self._overlay)}
        metadata = {"name": self.name, "namespace": self.namespace, "labels": labels, **body.get("metadata", {})}
        whole = {"apiVersion": "v1", "kind": "ConfigMap", **body, "metadata": metadata}
        path = CONFIG_MAPS.path(self.namespace)
        self._client.request("POST", path, query={"fieldManager": _MANAGER}, body=whole)

    def _patch(self, body: dict[str, Any]) -> None:
        path = CONFIG_MAPS.path(self.namespace, self.name)
        with self._lock:
            self._client.request("PATCH", path, query={"fieldManager": _MANAGER}, body=body, content_type=_MERGE)


def _annotations(item: dict[str, Any] | None) -> dict[str, Any]:
    return ((item or {}).get("metadata") or {}).get("annotations") or {}


def _dns(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "overlay"


def _shown(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def _who() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # no name for this user id, as in many containers
        user = str(os.getuid())
    return f"{user} on {platform.node() or 'a machine without a name'}"
