"""What earlier deployments applied and this one renders no more: found, and deleted where that was asked for.

Only what the records of deployments that succeeded name, and of that only what the server says `devenv` applied: an
object that somebody made anew under the same name has other managers. Nothing outside of the deployment's namespaces
is deleted, and no namespace: whoever may write the record in the cluster could name there what a deployer may delete.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import Forbidden, NotFound
from devenv.backends.kube.kinds import KNOWN, Kind, discover
from devenv.control.deploy.prepare import identity, is_platform, shown
from devenv.control.deploy.revisions import Revision
from devenv.control.kube.apply import FIELD_MANAGER
from devenv.control.kube.change import Call, Ref
from devenv.control.kube.delete import delete, survey_delete

HOLD_DATA: Final = ("PersistentVolumeClaim",)


@dataclass(frozen=True, slots=True)
class Leftover:
    """One object that is still there; `stays` says why it is not to be deleted, "" where it may be."""

    identity: str
    ref: Ref
    stays: str = ""

    @property
    def title(self) -> str:
        """Return Kind/name."""
        return shown(self.identity)


@dataclass(frozen=True, slots=True)
class Limits:
    """Where objects may be deleted, and whether those that hold data and the administrator's may be."""

    namespaces: Collection[str]
    data: bool = False
    platform: bool = False


def leftovers(
    client: KubeClient, good: Revision | None, rendered: Iterable[Mapping[str, Any]], limits: Limits
) -> tuple[Leftover, ...]:
    """Return what the last good revision, or one before it, left in the cluster. Raises KubeError."""
    if good is None:
        return ()
    now = {identity(item) for item in rendered}
    gone = [entry for entry in dict.fromkeys((*good.inventory, *good.left)) if entry not in now]
    kinds = _kinds(client, gone)
    left = []
    for entry in gone:
        group, kind_name, namespace, name = entry.split("/", 3)
        kind = kinds.get((group, kind_name))
        if kind is None:
            continue  # nobody serves the kind any more, so there is no such object
        ref = Ref(kind, namespace if kind.namespaced else "", name)
        try:
            live = ref.read(client)
        except NotFound:
            continue
        except Forbidden:
            left.append(Leftover(entry, ref, "it may not be read by this account"))
            continue
        if not live["metadata"].get("deletionTimestamp"):
            left.append(Leftover(entry, ref, _why_it_stays(live, ref, limits)))
    return tuple(left)


def losses_of(client: KubeClient, to_delete: Iterable[Leftover]) -> tuple[str, ...]:
    """Return what cannot be had back once these are deleted. Raises KubeError."""
    refs = tuple(item.ref for item in to_delete)
    return survey_delete(Call(client, refs)).losses if refs else ()


def remove(client: KubeClient, to_delete: Iterable[Leftover]) -> None:
    """Delete them and wait until they are gone; raises KubeError, and WaitTimeout with what holds one."""
    refs = tuple(item.ref for item in to_delete)
    if refs:
        planned = Call(client, refs)
        delete(Call(client, refs, dict(survey_delete(planned).options)))


def _kinds(client: KubeClient, entries: Collection[str]) -> dict[tuple[str, str], Kind]:
    known = {(kind.group, kind.name): kind for kind in KNOWN}
    if any(tuple(entry.split("/")[:2]) not in known for entry in entries):
        known = {(kind.group, kind.name): kind for kind in discover(client)} | known
    return known


def _why_it_stays(live: Mapping[str, Any], ref: Ref, limits: Limits) -> str:
    if ref.namespace not in limits.namespaces:
        return "it is in no namespace of this deployment" if ref.namespace else "it belongs to the whole cluster"
    if is_platform(live) and not limits.platform:
        return "it is the administrator's (--include-platform)"
    if not _is_ours(live):
        return "devenv did not apply it, or somebody made it anew"
    if ref.kind.name in HOLD_DATA and not limits.data:
        return "it holds data (--prune-data)"
    return ""


def _is_ours(live: Mapping[str, Any]) -> bool:
    managers = live["metadata"].get("managedFields") or ()
    return any(item.get("manager") == FIELD_MANAGER and item.get("operation") == "Apply" for item in managers)
