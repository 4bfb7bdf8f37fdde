"""Server-side apply: what it would change, and doing it. The server merges; nothing is computed here.

Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/

Conflicts: https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import unified_diff
from typing import Any

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import Conflict, Forbidden, KubeError, NotFound, Unauthorized, Unreachable
from devenv.backends.kube.kinds import Kind
from devenv.control.kube.change import reworded
from devenv.control.kube.objects import CRD, ESTABLISHED_WITHIN, KindLookup, flatten, makes, title
from devenv.core.errors import DevenvError
from devenv.core.masking import MASK, mask_secrets
from devenv.core.text import sanitize

CHANGED = f"{MASK} (another value)"
_SECRET_FIELDS = ("data", "stringData")
# Names of the API itself that only point at a secret, or at nothing secret (core/v1 types.go).
_HARMLESS = frozenset({"secretName", "secretRef", "secretKeyRef", "imagePullSecrets", "automountServiceAccountToken"})


def masked_pair(before: Any, after: Any) -> tuple[Any, Any]:
    """Return both versions of one object with secrets masked; a masked value that differs says so in the second.

    Masked are all data of a Secret, values of `env` and `data` entries with a secret's name, and in every text what
    looks like a password or a token. Either side may be None.
    """
    kind = next((side.get("kind") for side in (after, before) if isinstance(side, dict)), None)
    if kind != "Secret":
        return _walk(before, after, "")
    first, second = _walk(_without(before), _without(after), "")
    for name in _SECRET_FIELDS:
        old, new = _field(before, name), _field(after, name)
        hidden_old, hidden_new = _walk(old, new, "", hide=True)
        if old is not None:
            first[name] = hidden_old
        if new is not None:
            second[name] = hidden_new
    return first, second


def masked(item: Any) -> Any:
    """Return one object with its secrets masked."""
    return masked_pair(None, item)[1]


def _walk(before: Any, after: Any, name: str, *, hide: bool = False) -> tuple[Any, Any]:
    if isinstance(before, dict) or isinstance(after, dict):
        return _walk_mappings(before, after, name, hide=hide)
    if isinstance(before, list) or isinstance(after, list):
        return _walk_lists(before, after, name, hide=hide)
    hide = hide or _is_secret(name)
    first, second = _leaf(before, hide=hide), _leaf(after, hide=hide)
    if first == second and before != after and isinstance(second, str):
        second = CHANGED if second == MASK else f"{second} (another value)"
    return first, second


def _walk_mappings(before: Any, after: Any, name: str, *, hide: bool) -> tuple[Any, Any]:
    old = before if isinstance(before, dict) else {}
    new = after if isinstance(after, dict) else {}
    first: dict[str, Any] = {}
    second: dict[str, Any] = {}
    named = new.get("name", old.get("name"))
    for key in dict.fromkeys((*old, *new)):
        label = str(named) if key == "value" and isinstance(named, str) else str(key)
        one, two = _walk(old.get(key), new.get(key), label, hide=hide)
        if key in old:
            first[sanitize(str(key))] = one
        if key in new:
            second[sanitize(str(key))] = two
    return (
        first if isinstance(before, dict) else _leaf(before, hide=hide),
        second if isinstance(after, dict) else _leaf(after, hide=hide),
    )


def _walk_lists(before: Any, after: Any, name: str, *, hide: bool) -> tuple[Any, Any]:
    old = before if isinstance(before, list) else []
    new = after if isinstance(after, list) else []
    by_new = dict(_paired(old, new))
    second = [_walk(by_new.get(index), item, name, hide=hide)[1] for index, item in enumerate(new)]
    first = [_walk(item, None, name, hide=hide)[0] for item in old]
    return (
        first if isinstance(before, list) else _leaf(before, hide=hide),
        second if isinstance(after, list) else _leaf(after, hide=hide),
    )


def _paired(old: list[Any], new: list[Any]) -> list[tuple[int, Any]]:
    """Pair the items of a list by their names where they have them, else by their places."""
    names = {item["name"]: item for item in old if isinstance(item, dict) and "name" in item}
    pairs = []
    for index, item in enumerate(new):
        if isinstance(item, dict) and "name" in item:
            pairs.append((index, names.get(item["name"])))
        elif index < len(old):
            pairs.append((index, old[index]))
    return pairs


def _leaf(value: Any, *, hide: bool) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if hide:
        return MASK
    return mask_secrets(sanitize(value, newlines=True)) if isinstance(value, str) else value


def _is_secret(name: str) -> bool:
    return name not in _HARMLESS and bool(name) and mask_secrets(f"{name}=x") != f"{name}=x"


def _without(item: Any) -> Any:
    return {key: value for key, value in item.items() if key not in _SECRET_FIELDS} if isinstance(item, dict) else item


def _field(item: Any, name: str) -> Any:
    return item.get(name) if isinstance(item, dict) else None


CONTEXT_LINES = 3
# Written by the server with every change or by controllers: noise in a diff (apimachinery meta/v1 ObjectMeta).
_NOISE = ("managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink")
_HEAD = ("apiVersion", "kind", "metadata")
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"  # a copy of the object, secrets included


def diff_lines(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return the lines that `before` and `after` differ in, with context and masked secrets; empty: no difference."""
    plain_before, plain_after = plain(before), plain(after)
    if plain_before == plain_after:
        return ()
    first, second = masked_pair(plain_before, plain_after)
    lines = unified_diff(to_yaml(first), to_yaml(second), "now", "planned", lineterm="", n=CONTEXT_LINES)
    return tuple(lines)[2:]


def plain(item: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the object without its status and what the server keeps in it for itself."""
    if item is None:
        return None
    kept = {key: value for key, value in item.items() if key != "status"}
    metadata = {key: value for key, value in dict(kept.get("metadata") or {}).items() if key not in _NOISE}
    annotations = {key: value for key, value in (metadata.get("annotations") or {}).items() if key != _LAST_APPLIED}
    metadata.pop("annotations", None)
    if annotations:
        metadata["annotations"] = annotations
    kept["metadata"] = metadata
    return {key: kept[key] for key in sorted(kept, key=lambda key: _HEAD.index(key) if key in _HEAD else len(_HEAD))}


def to_yaml(item: Any) -> list[str]:
    """Return the lines of an object in YAML, keys in their order; None has no lines."""
    if item is None:
        return []
    import yaml  # deferred: only what prints objects needs it

    return yaml.safe_dump(item, sort_keys=False, allow_unicode=True, width=10_000).splitlines()


_REPLICAS = ".spec.replicas"
_BY_HAND = {
    "kubectl-edit": "edited by hand (kubectl edit)",
    "kubectl-patch": "patched by hand (kubectl patch)",
    "kubectl-set": "set by hand (kubectl set)",
    "kubectl-scale": "scaled by hand",
    "kubectl-label": "labelled by hand",
    "kubectl-annotate": "annotated by hand",
    "kubectl-rollout": "changed by a rollout command",
    "devenv-edit": "edited by hand (an older devenv)",
    "devenv-scale": "scaled by hand (devenv)",
    "devenv-undo": "set back by hand (devenv kube rollout undo)",
    "devenv-rollout": "restarted or paused by hand (devenv kube rollout)",
}
_TOOLS = {"helm": "Helm", "argocd-controller": "Argo CD", "kustomize-controller": "Flux", "helm-controller": "Flux"}


@dataclass(frozen=True, slots=True)
class FieldConflict:
    """A field of the object that another manager owns with another value. `since` is the server's time, or ""."""

    manager: str
    field: str
    since: str = ""

    @property
    def explanation(self) -> str:
        """Who owns the field, in words."""
        since = f" since {self.since}" if self.since else ""
        return f"{self.field} is {_owner(self.manager)}{since}"

    @property
    def advice(self) -> str:
        """What to do about it."""
        if self.field == _REPLICAS and self.manager in ("kube-controller-manager", "kubectl-scale", "devenv-scale"):
            return "Leave replicas out of the manifest, so that the autoscaler or `scale` keeps them."
        if self.manager in _TOOLS:
            return f"Change it where {_TOOLS[self.manager]} takes it from: forced, it would be changed back."
        return "Write the wanted value into the manifest, or take the field over with --force-conflicts."


def find_conflicts(
    causes: Iterable[tuple[str, str]], live: Mapping[str, Any] | None = None
) -> tuple[FieldConflict, ...]:
    """Return the conflicts that the server named, with the time of the owner's last write from `live`."""
    times = {}
    for entry in ((live or {}).get("metadata") or {}).get("managedFields") or ():
        times[str(entry.get("manager"))] = str(entry.get("time") or "")
    return tuple(
        FieldConflict(sanitize(manager), sanitize(field), sanitize(times.get(manager, ""))) for manager, field in causes
    )


def _owner(manager: str) -> str:
    if manager in _BY_HAND:
        return f"owned by {manager}: {_BY_HAND[manager]}"
    if manager == "kubectl-client-side-apply":
        return "owned by kubectl-client-side-apply: applied before with kubectl apply"
    if manager == "kube-controller-manager":
        return "owned by kube-controller-manager: set by a controller, as an autoscaler does"
    if manager in _TOOLS:
        return f"owned by {manager} ({_TOOLS[manager]})"
    return f"owned by {manager or 'an unnamed manager'}"


FIELD_MANAGER = "devenv"
_APPLY = "application/apply-patch+yaml"
_TIMEOUT = 60.0  # seconds for one object: admission webhooks may take 30 each


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """What applying does to one object. `action`: created, changed or unchanged.

    `diff` is a unified diff over YAML with secrets masked. `conflicts`: fields that others own with other values, so
    that it is not applied unless forced. `problem` says why the server would refuse the object, `hint` what helps.
    """

    kind: str
    namespace: str
    name: str
    action: str
    diff: tuple[str, ...] = ()
    conflicts: tuple[FieldConflict, ...] = ()
    problem: str = ""
    hint: str = ""

    @property
    def title(self) -> str:
        """Return "Deployment docsearch/backend"."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


class FieldConflicts(DevenvError):
    """Other managers own fields that should be applied; `changes` are the objects concerned."""

    title = "field conflict"

    def __init__(self, changes: Sequence[ObjectChange]) -> None:
        self.changes = tuple(changes)
        lines: list[str] = []
        advice: dict[str, None] = {}
        for change in self.changes:
            for conflict in change.conflicts:
                lines.append(f"{change.title}: {conflict.explanation}")
                advice[conflict.advice] = None
        super().__init__("\n".join(lines), " ".join(advice))


def plan_apply(client: KubeClient, objects: Iterable[Mapping[str, Any]]) -> list[ObjectChange]:
    """Ask the server with a dry run what applying would change; nothing is changed.

    Objects of a namespace or a kind that comes into being with them cannot be tried: they are shown as created. An
    object that the server refuses has a `problem`. Raises Unreachable, Unauthorized, and UsageError for no objects.
    """
    items = flatten(objects)
    kinds = KindLookup(client)
    return [_plan_one(client, kinds, item, items) for item in items]


def apply(
    client: KubeClient,
    objects: Iterable[Mapping[str, Any]],
    *,
    force_conflicts: bool = False,
    report: Callable[[ObjectChange], None] = lambda change: None,
) -> list[ObjectChange]:
    """Apply the objects in order, and tell each when it is done; ends at the first that fails.

    Raises FieldConflicts, and the server's error with the object's name and how many were applied before it.
    """
    items = flatten(objects)
    kinds = KindLookup(client)
    done: list[ObjectChange] = []
    for item in items:
        change = _apply_one(client, kinds, item, items, done, force=force_conflicts)
        done.append(change)
        report(change)
    return done


def _plan_one(
    client: KubeClient, kinds: KindLookup, item: Mapping[str, Any], items: Sequence[Mapping[str, Any]]
) -> ObjectChange:
    kind = kinds.find(item)
    if kind is None:
        return _unknown_kind(item, items)
    body = kinds.place(item, kind, client.target.namespace)
    live: dict[str, Any] | None = None
    try:
        live = _live(client, kind, body)
        return _change(body, live, _send(client, kind, body, dry_run=True))
    except Conflict as error:
        if not error.causes:
            return _problem(body, live, error)
        forced = _send(client, kind, body, dry_run=True, force=True)
        return replace(_change(body, live, forced), conflicts=find_conflicts(error.causes, live))
    except NotFound as error:
        namespace = str(body["metadata"].get("namespace") or "")
        if namespace and makes(items, "Namespace", namespace):
            return _change(body, None, body)
        return replace(_problem(body, live, error), hint=f"Make it first: kubectl create namespace {namespace}")
    except (Unreachable, Unauthorized):
        raise
    except KubeError as error:
        return _problem(body, live, error)


def _apply_one(
    client: KubeClient,
    kinds: KindLookup,
    item: Mapping[str, Any],
    items: Sequence[Mapping[str, Any]],
    done: Sequence[ObjectChange],
    *,
    force: bool,
) -> ObjectChange:
    comes = any(change.kind == CRD for change in done)
    kind = kinds.find(item, patience=ESTABLISHED_WITHIN if comes else 0.0)
    if kind is None:
        change = _unknown_kind(item, items)
        raise DevenvError(
            f"{change.title}: {change.problem or 'its kind is not served yet'}{_before(done)}", change.hint
        )
    body = kinds.place(item, kind, client.target.namespace)
    live: dict[str, Any] | None = None
    try:
        live = _live(client, kind, body)
        return _change(body, live, _send(client, kind, body, dry_run=False, force=force))
    except Conflict as error:
        if not error.causes:
            raise _named(error, body, done) from error
        change = replace(_change(body, live, body), conflicts=find_conflicts(error.causes, live))
        conflicts = FieldConflicts([change])
        raise reworded(conflicts, conflicts.message + _before(done), conflicts.hint) from error
    except KubeError as error:
        raise _named(error, body, done) from error


def _live(client: KubeClient, kind: Kind, body: Mapping[str, Any]) -> dict[str, Any] | None:
    try:
        item: dict[str, Any] = client.get(_path(kind, body))
    except NotFound:
        return None
    return item


def _send(
    client: KubeClient, kind: Kind, body: Mapping[str, Any], *, dry_run: bool, force: bool = False
) -> dict[str, Any]:
    query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict", "force": "true" if force else "false"}
    if dry_run:
        query["dryRun"] = "All"
    sent: dict[str, Any] = client.request(
        "PATCH", _path(kind, body), query=query, body=dict(body), content_type=_APPLY, timeout=_TIMEOUT
    )
    return sent


def _change(body: Mapping[str, Any], live: Mapping[str, Any] | None, after: Mapping[str, Any]) -> ObjectChange:
    action = "created" if live is None else "unchanged" if plain(live) == plain(after) else "changed"
    return _record(body, action, diff_lines(live, after) if action != "unchanged" else ())


def _problem(body: Mapping[str, Any], live: Mapping[str, Any] | None, error: KubeError) -> ObjectChange:
    hint = error.hint
    if "field is immutable" in error.message:
        hint = "The field cannot be changed: delete the object and apply it anew, or keep the field as it is."
    elif isinstance(error, Forbidden) and not hint:
        hint = "Ask who rules the cluster for the right, or apply it as somebody who has it."
    return replace(_record(body, "changed" if live else "created"), problem=error.message, hint=hint)


def _record(body: Mapping[str, Any], action: str, diff: tuple[str, ...] = ()) -> ObjectChange:
    metadata = body["metadata"]
    kind, namespace, name = (
        sanitize(str(text or "")) for text in (body["kind"], metadata.get("namespace"), metadata["name"])
    )
    return ObjectChange(kind, namespace, name, action, diff)


def _unknown_kind(item: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> ObjectChange:
    change = _record(item, "created", diff_lines(None, item))
    defined = [other["spec"]["names"]["kind"] for other in items if other.get("kind") == CRD]
    if item["kind"] in defined:
        return change
    hint = "Install what defines it first (its CustomResourceDefinition), or correct apiVersion and kind."
    return replace(change, problem=f"the cluster serves no {item['apiVersion']} {item['kind']}", hint=hint)


def _named(error: KubeError, body: Mapping[str, Any], done: Sequence[ObjectChange]) -> KubeError:
    """Say of which object the server spoke; the error keeps its type, and so its exit code."""
    return reworded(error, f"{title(body)}: {error.message}{_before(done)}", _problem(body, None, error).hint)


def _before(done: Sequence[ObjectChange]) -> str:
    return f" ({len(done)} objects before it were applied)" if done else ""


def _path(kind: Kind, body: Mapping[str, Any]) -> str:
    metadata = body["metadata"]
    return kind.path(metadata.get("namespace"), str(metadata["name"]))
