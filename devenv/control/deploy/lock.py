"""One deployment of an overlay at a time: a lock on this machine, and the ConfigMap beside what is deployed.

The ConfigMap says who is deploying now, and keeps the last revision that succeeded.
"""

from __future__ import annotations

import getpass
import json
import os
import platform
import re
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import Conflict, Forbidden, KubeError, NotFound
from devenv.backends.kube.kinds import CONFIG_MAPS
from devenv.control.deploy.revisions import Revision, decode, encode
from devenv.core.errors import DevenvError, Refused
from devenv.core.text import sanitize

LOCK: Final = "devenv.io/deploying"
HELD: Final = 60.0  # seconds: a deployment that does not renew its lock for so long is dead
RENEW: Final = 20.0
_MERGE: Final = "application/merge-patch+json"
_MANAGER: Final = "devenv-deploy"  # not apply's manager: what is kept here must survive every apply


class DeploymentRecord:
    """One overlay's ConfigMap in one namespace. What an account may not do is told in `notes` and goes without."""

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
        except (ValueError, TypeError, AttributeError):
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
