"""Whole objects as text to scroll through: YAML, a description and the log of the run before, masked and harmless."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Final

import yaml
from textual.binding import Binding, BindingType

from devenv.control.kube.apply import masked
from devenv.core.errors import DevenvError
from devenv.core.masking import mask_secrets
from devenv.core.model import Resource
from devenv.manifests import access
from devenv.tui.detail import events
from devenv.tui.kube.session import ClusterSession
from devenv.tui.kube.view import Cluster, ClusterView
from devenv.tui.safe_text import Part, safe, safe_lines

Read = Callable[[ClusterSession, Resource], list[Part]]  # blocks, raises DevenvError


class TextScreen(ClusterView):
    """Reads in a thread; r reads again. `with_events` puts what happens to the object below, as it comes."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("r", "read", "read again", id="text.read")]

    def __init__(
        self, cluster: Cluster, title: str, resource: Resource, read: Read, *, with_events: bool = False
    ) -> None:
        super().__init__(cluster, f"{title} {resource.kind} {resource.name}", self.parts)
        self._resource = resource
        self._read = read
        self._with_events = with_events
        self._text: list[Part] = [("reading…\n", "$quiet")]

    def on_mount(self) -> None:
        """Begin to read."""
        self.action_read()

    def action_read(self) -> None:
        """Read it, or read it again."""
        self.run_worker(self._work, thread=True, exclusive=True)

    def _work(self) -> None:
        try:
            if self.cluster.session is None:
                raise DevenvError("No cluster is open")
            parts = self._read(self.cluster.session, self._resource)
        except DevenvError as error:
            parts = [(f"✗ {safe(error.message)}\n", "$error"), (f"→ {safe(error.hint)}\n" if error.hint else "", "")]
        self.app.call_from_thread(self._take, parts)

    def _take(self, parts: list[Part]) -> None:
        self._text = parts
        self.show()

    def parts(self, width: int) -> list[Part]:
        """Return what was read."""
        if not self._with_events:
            return self._text
        return self._text + events(self.cluster.store.happenings(self._resource.key))


def read_previous_log(session: ClusterSession, pod: Resource) -> list[Part]:
    """Return what the containers of a pod wrote in their run before the present one."""
    lines = safe_lines(mask_secrets(session.previous_log(pod)))
    return [(f"{line}\n", "bold" if line.startswith("── ") else "$foreground") for line in lines]


_WIDTH: Final = 16
_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"  # the whole object once more, with its secrets


def cleaned(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the object masked, without managed fields and kubectl's copy of it."""
    clean: dict[str, Any] = masked(dict(item))
    metadata = {key: value for key, value in access.mapping(clean, "metadata").items() if key != "managedFields"}
    annotations = {key: value for key, value in access.mapping(metadata, "annotations").items() if key != _APPLIED}
    if "annotations" in metadata:
        metadata = {**metadata, "annotations": annotations}
    return {**clean, "metadata": metadata}


def yaml_parts(item: Mapping[str, Any]) -> list[Part]:
    """Return the object as YAML, its keys in another colour."""
    text = yaml.safe_dump(cleaned(item), sort_keys=False, allow_unicode=True, width=100)
    parts: list[Part] = []
    for line in safe_lines(text):
        key, colon, rest = line.partition(":")
        if colon and (not rest or rest.startswith(" ")) and '"' not in key and "'" not in key:
            parts += [(f"{key}:", "$primary"), (f"{rest}\n", "$foreground")]
        else:
            parts.append((f"{line}\n", "$foreground"))
    return parts


def describe_parts(item: Mapping[str, Any]) -> list[Part]:
    """Return what matters about an object, in the order in which one asks."""
    clean = cleaned(item)
    parts: list[Part] = []
    for label, text in _facts(clean):
        parts += [(_label(label, _WIDTH), "$quiet"), (f"{safe(text)}\n", "$foreground")]
    template = access.mapping(clean, "spec", "template", "spec") or access.mapping(clean, "spec")
    statuses = {str(status.get("name")): status for status in _statuses(clean)}
    for group in ("initContainers", "containers", "ephemeralContainers"):
        for _, container in access.mappings(template, group):
            name = str(container.get("name"))
            parts.append((f"\n{group.removesuffix('s').upper()} {safe(name)}\n", "bold"))
            for label, text in _container(container, statuses.get(name, {})):
                parts += [(_label(f"  {label}", _WIDTH), "$quiet"), (f"{safe(text)}\n", "$foreground")]
    conditions = list(access.mappings(clean, "status", "conditions"))
    if conditions:
        parts.append(("\nCONDITIONS\n", "bold"))
    for _, condition in conditions:
        status = str(condition.get("status"))
        parts.append((_label(f"  {safe(str(condition.get('type')))}", 30), "$foreground"))
        parts.append((f"{safe(status):<8}", "$success" if status == "True" else "$warning"))
        words = f"{condition.get('reason') or ''}  {condition.get('message') or ''}"
        parts.append((f"{safe(words.strip())}\n", "$quiet"))
    if clean.get("kind") in ("Secret", "ConfigMap"):
        parts.append(("\nDATA\n", "bold"))
        for name, value in access.mapping(clean, "data").items():
            parts += [(f"  {safe(name)}  ", "$quiet"), (f"{safe(str(value))}\n", "$foreground")]
    return parts


def _label(text: str, width: int) -> str:
    """Return the text as wide as that; a longer one still ends before what it is a label of."""
    return f"{text:<{width - 1}} "


def _facts(item: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    metadata = access.mapping(item, "metadata")
    yield "kind", f"{item.get('kind')} ({item.get('apiVersion')})"
    yield "name", str(metadata.get("name"))
    if metadata.get("namespace"):
        yield "namespace", str(metadata["namespace"])
    yield "created", str(metadata.get("creationTimestamp"))
    if metadata.get("deletionTimestamp"):
        yield "deleted since", str(metadata["deletionTimestamp"])
    if metadata.get("finalizers"):
        yield "finalizers", ", ".join(map(str, access.sequence(metadata, "finalizers")))
    for _, owner in access.mappings(metadata, "ownerReferences"):
        yield "owner", f"{owner.get('kind')} {owner.get('name')}"
    for title in ("labels", "annotations"):
        for index, (name, value) in enumerate(access.mapping(metadata, title).items()):
            yield title if index == 0 else "", f"{name}={value}"
    spec = access.mapping(item, "spec")
    for name, value in spec.items():
        if isinstance(value, str | int | float | bool):
            yield name, str(value)
    selector = access.mapping(spec, "selector", "matchLabels") or access.mapping(spec, "selector")
    if selector:
        yield "selector", ", ".join(f"{name}={value}" for name, value in selector.items())
    for name, value in access.mapping(item, "status").items():
        if isinstance(value, str | int | float | bool):
            yield name, str(value)


def _statuses(item: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for group in ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"):
        for _, status in access.mappings(item, "status", group):
            yield status


def _container(container: Mapping[str, Any], status: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "image", str(container.get("image"))
    for name in ("command", "args"):
        words = access.sequence(container, name)
        if words:
            yield name, " ".join(map(str, words))
    ports = [
        f"{port.get('containerPort')}/{port.get('protocol', 'TCP')}" for _, port in access.mappings(container, "ports")
    ]
    if ports:
        yield "ports", ", ".join(ports)
    for which in ("requests", "limits"):
        amounts = access.mapping(container, "resources", which)
        if amounts:
            yield which, ", ".join(f"{name} {amount}" for name, amount in amounts.items())
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        if container.get(probe):
            yield probe.removesuffix("Probe"), _flat(container[probe])
    for _, variable in access.mappings(container, "env"):
        value = variable.get("value")
        yield "env", f"{variable.get('name')}={value if value is not None else _flat(variable.get('valueFrom'))}"
    for _, source in access.mappings(container, "envFrom"):
        yield "env from", _flat(source)
    for _, mount in access.mappings(container, "volumeMounts"):
        yield "mount", f"{mount.get('mountPath')} from {mount.get('name')}{' (ro)' if mount.get('readOnly') else ''}"
    for when in ("state", "lastState"):
        if status.get(when):
            yield "state" if when == "state" else "before", _flat(status[when])
    if status:
        yield "ready", f"{status.get('ready')}, restarts {status.get('restartCount')}"


def _flat(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_flat(part)}".strip() for name, part in value.items())
    return " ".join(map(_flat, value)) if isinstance(value, list) else str(value)


TEXTS: Final[Mapping[str, tuple[str, Read]]] = {  # by the names of their actions
    "yaml": ("YAML of", lambda session, resource: yaml_parts(session.read(resource))),
    "describe": ("DESCRIBE", lambda session, resource: describe_parts(session.read(resource))),
    "previous": ("PREVIOUS LOG of", read_previous_log),
}
