"""Which objects a deployment applies: the overlay rendered and judged, and what of it a deployer may change.

Unlike in a check, nothing may stand in for a file that is missing. What earlier deployments applied and this one no
longer renders is found, and deleted where that was asked for: only what the records of deployments that succeeded
name, and of that only what the server says `devenv` applied, since an object that somebody made anew under the same
name has other managers. Nothing outside of the deployment's namespaces is deleted, and no namespace: whoever may
write the record in the cluster could name there what a deployer may delete.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import Forbidden, NotFound
from devenv.backends.kube.kinds import KNOWN, Kind, discover
from devenv.backends.kube.workload import WAITED_FOR
from devenv.control.deploy.images import repository, uses_of
from devenv.control.deploy.record import Revision
from devenv.control.kube.apply import FIELD_MANAGER
from devenv.control.kube.change import Call, Ref
from devenv.control.kube.delete import delete, survey_delete
from devenv.control.kube.wait import Key
from devenv.core.errors import FindingsFound, UsageError
from devenv.core.text import sanitize
from devenv.manifests.check import Outside, judge, load
from devenv.manifests.model import Finding, Severity
from devenv.manifests.rules.config import is_unreleased
from devenv.manifests.rules.objects import unvalidated
from devenv.manifests.schemas import preload
from devenv.manifests.targets import Target

SHOWN = 10  # findings in an error's message; `devenv manifests check` lists all


@dataclass(frozen=True, slots=True)
class RenderedOverlay:
    """What kustomize made of an overlay; `warnings` and `notes` do not stop a deployment, errors do."""

    objects: tuple[dict[str, Any], ...]
    environment: str
    errors: tuple[Finding, ...] = ()
    warnings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()


def prepare(target: Target, versions: tuple[str, ...], outside: Outside) -> RenderedOverlay:
    """Render and judge the folder.

    Raises UsageError where it cannot be rendered or where an example would stand in for a secret's file, ToolMissing.
    """
    preload(versions)
    loaded = load(target, versions, outside)
    if loaded.rendered.problems:
        problem = loaded.rendered.problems[0]
        raise UsageError(
            f"{target.name} cannot be rendered: {problem.message}", f"Try: devenv manifests check {target.folder}"
        )
    if loaded.rendered.notes:
        missing = "; ".join(loaded.rendered.notes)
        raise UsageError(
            f"{target.name} is not complete: {missing}", "Example values do for a check, but not for a cluster."
        )
    judgement = judge(loaded.rendering, outside.root)
    errors = tuple(finding for finding in judgement.findings if finding.severity is Severity.ERROR)
    warnings = tuple(finding for finding in judgement.findings if finding.severity is not Severity.ERROR)
    notes = [f"{len(judgement.excused)} findings are excused with a reason"] if judgement.excused else []
    notes += unvalidated(loaded.rendering)
    objects = tuple(_plain(manifest.data) for manifest in loaded.rendered.manifests)
    return RenderedOverlay(objects, loaded.rendering.environment.value, errors, warnings, tuple(notes))


def refuse_errors(rendered: RenderedOverlay, name: str) -> None:
    """Raise FindingsFound where the rules found errors."""
    if rendered.errors:
        lines = [f"{item.object}: {item.message} ({item.rule})" for item in rendered.errors[:SHOWN]]
        more = len(rendered.errors) - len(lines)
        raise FindingsFound(
            "\n".join([f"{name} has {len(rendered.errors)} errors", *lines, *([f"and {more} more"] if more else [])]),
            "Correct them, or excuse them with a reason: docs/MANIFESTS.md. Nothing was changed.",
        )


def unreleased(objects: Sequence[Mapping[str, Any]], name: str) -> FindingsFound | None:
    """Return the refusal of images that a release has not filled in; None where there are none."""
    waiting = dict.fromkeys(sanitize(repository(use.image)) for use in uses_of(objects) if is_unreleased(use.image))
    if not waiting:
        return None
    lines = [f"{image} has a digest of zeros, which no registry serves" for image in waiting]
    first = next(iter(waiting))
    return FindingsFound(
        "\n".join([f"{name} waits for a release", *lines]),
        f"Say what was released (--image {first}={first}@sha256:...), or deploy a folder that says it: docs/DEPLOY.md, "
        "Images. Nothing was changed.",
    )


def _plain(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key != "status"}


_COMPONENT = "app.kubernetes.io/component"
_PLATFORM = "platform"
Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Scope:
    """The objects to apply, those left to the administrator, and the namespace that the workloads are in."""

    objects: tuple[Object, ...]
    left_out: tuple[Object, ...]
    namespace: str


def scope_of(objects: Sequence[Object], *, include_platform: bool, default: str, namespace: str = "") -> Scope:
    """Sort the objects. Objects of the component `platform` bound what a deployer can do (k8s/README.md).

    `namespace` is the namespace that the command line names: objects without one go there, and another one is refused.
    Raises UsageError for that, and where nothing is left to apply.
    """
    namespaced = [_in_namespace(item, namespace or default) for item in objects]
    names = Counter(_namespace(item) for item in namespaced if _namespace(item))
    if namespace and set(names) - {namespace}:
        others = ", ".join(sorted(set(names) - {namespace}))
        raise UsageError(
            f"The overlay says namespace {others}, the command line {namespace}",
            "Leave --namespace out, or write a kustomization over the overlay with another `namespace:`.",
        )
    kept = [item for item in namespaced if include_platform or not is_platform(item)]
    if not kept:
        raise UsageError("The overlay renders nothing that may be applied", "Its platform part: --include-platform.")
    main = names.most_common(1)[0][0] if names else default
    left = [item for item in namespaced if not include_platform and is_platform(item)]
    return Scope(tuple(kept), tuple(left), main)


def is_platform(item: Mapping[str, Any]) -> bool:
    """Whether an object is the administrator's."""
    return ((item.get("metadata") or {}).get("labels") or {}).get(_COMPONENT) == _PLATFORM


def workloads_of(objects: Sequence[Mapping[str, Any]]) -> tuple[Key, ...]:
    """Return what a rollout of these objects has to be waited for."""
    return tuple(
        (kind, _namespace(item), str(item["metadata"]["name"]))
        for item in objects
        if (kind := str(item.get("kind", "")).lower()) in WAITED_FOR
    )


def identity(item: Mapping[str, Any]) -> str:
    """Return what an inventory keeps of an object: group/Kind/namespace/name."""
    group = str(item.get("apiVersion", "")).rpartition("/")[0]
    metadata = item.get("metadata") or {}
    return f"{group}/{item.get('kind', '')}/{metadata.get('namespace', '')}/{metadata.get('name', '')}"


def shown(identities: str) -> str:
    """Write an inventory's entry for people: Kind/name."""
    _, kind, _, name = identities.split("/", 3)
    return f"{kind}/{name}"


def _namespace(item: Mapping[str, Any]) -> str:
    return str((item.get("metadata") or {}).get("namespace", ""))


def _in_namespace(item: Object, namespace: str) -> Object:
    """Give a namespace to what has none, as kubectl does; the API server says later what is cluster-scoped."""
    if _namespace(item) or item.get("kind") in _CLUSTER_SCOPED:
        return item
    return {**item, "metadata": {**(item.get("metadata") or {}), "namespace": namespace}}


# Of the kinds that overlays contain. A kind of somebody's CRD without a namespace is taken for namespaced: kubectl asks
# the server, and so does the apply, whose error then says it.
_CLUSTER_SCOPED = frozenset(
    {
        *("Namespace", "PriorityClass", "ClusterRole", "ClusterRoleBinding", "StorageClass", "PersistentVolume"),
        *("IngressClass", "GatewayClass", "CustomResourceDefinition", "RuntimeClass", "Node", "CSIDriver"),
        *("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration", "APIService"),
        *("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"),
    }
)


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
