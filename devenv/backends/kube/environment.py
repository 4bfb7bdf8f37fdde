"""What the containers of a pod have in their environment, and the secrets that they are given."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import KubeError
from devenv.backends.kube.fields import mapping, mappings, word
from devenv.backends.kube.kinds import CONFIG_MAPS, SECRETS, Kind
from devenv.core.masking import learn


class Variable(NamedTuple):
    """One variable of a container; `value` is None where it is not known here; `source` says where it comes from."""

    container: str
    name: str
    value: str | None
    source: str = ""


def environment_of(client: KubeClient, pod: Mapping[str, Any]) -> list[Variable]:
    """Return the variables of all containers of a pod; blocks. What is secret in them is masked from then on.

    A ConfigMap or Secret that may not be read or is not there leaves its variables without a value.
    """
    read = _reader(client, word(mapping(pod.get("metadata")).get("namespace")))
    spec = mapping(pod.get("spec"))
    variables: list[Variable] = []
    for container in (*mappings(spec.get("initContainers")), *mappings(spec.get("containers"))):
        own = {item.name: item for item in _variables(container, read)}  # a later one of the same name wins
        learn({item.name: item.value for item in own.values()})
        variables += own.values()
    for volume in mappings(spec.get("volumes")):
        name = word(mapping(volume.get("secret")).get("secretName"))
        if name:
            read(SECRETS, name)  # its files are read by the program as variables are
    return variables


def _variables(container: Mapping[str, Any], read: Callable[[Kind, str], Mapping[str, str]]) -> Iterator[Variable]:
    name = word(container.get("name"))
    for source in mappings(container.get("envFrom")):
        for field, kind in (("configMapRef", CONFIG_MAPS), ("secretRef", SECRETS)):
            of = word(mapping(source.get(field)).get("name"))
            for key, value in read(kind, of).items() if of else ():
                yield Variable(name, f"{word(source.get('prefix'))}{key}", value, f"{kind.name} {of}")
    for entry in mappings(container.get("env")):
        origin = mapping(entry.get("valueFrom"))
        literal = None if origin else str(entry.get("value") or "")
        variable = Variable(name, word(entry.get("name")), literal)
        for field, kind in (("configMapKeyRef", CONFIG_MAPS), ("secretKeyRef", SECRETS)):
            ref = mapping(origin.get(field))
            if ref:
                of, key = word(ref.get("name")), word(ref.get("key"))
                variable = variable._replace(value=read(kind, of).get(key), source=f"{kind.name} {of}, {key}")
        for field in ("fieldRef", "resourceFieldRef"):
            ref = mapping(origin.get(field))
            if ref:
                variable = variable._replace(source=word(ref.get("fieldPath") or ref.get("resource")))
        yield variable


def _reader(client: KubeClient, namespace: str) -> Callable[[Kind, str], Mapping[str, str]]:
    """Return what reads the data of a ConfigMap or Secret, each once."""
    known: dict[tuple[Kind, str], dict[str, str]] = {}

    def read(kind: Kind, name: str) -> Mapping[str, str]:
        if (kind, name) not in known:
            known[kind, name] = {}
            with suppress(KubeError):  # not allowed or not there: its values stay unknown
                data = mapping(client.get(kind.path(namespace, name)).get("data"))
                known[kind, name] = {key: _plain(kind, value) for key, value in data.items()}
            if kind is SECRETS:
                learn(known[kind, name], all_secret=True)
        return known[kind, name]

    return read


def _plain(kind: Kind, value: object) -> str:
    if kind is not SECRETS:
        return str(value)
    try:
        return base64.b64decode(str(value)).decode("utf-8", "replace")
    except ValueError:
        return str(value)
