"""What is read about one object when somebody looks at it: the environment of its pods with what secrets it is given.

Of a workload its template counts, as a pod of it would have it.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import KubeError
from devenv.backends.kube.fields import mapping, mappings, word
from devenv.backends.kube.kinds import CONFIG_MAPS, PVCS, SECRETS, Kind
from devenv.backends.look import Image, Mount, Network, Seen, Subject, Variable
from devenv.core.errors import DevenvError
from devenv.core.masking import learn
from devenv.core.text import quantity

_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"


def environment_of(client: KubeClient, pod: Mapping[str, Any]) -> list[Variable]:
    """Return the variables of all containers of a pod; blocks. What is secret in them is masked from then on.

    A ConfigMap or Secret that may not be read or is not there leaves its variables without a value.
    """
    read = _reader(client, word(mapping(pod.get("metadata")).get("namespace")))
    spec = _pod_spec(pod)
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


def look(client: KubeClient, raw: Mapping[str, Any], subject: Subject) -> Seen:
    """Return it of an object that was read; blocks. Raises DevenvError where this kind or the cluster has none."""
    if subject == "inspect":
        return _plain_object(raw)
    if subject == "processes":
        raise DevenvError("The cluster lists no processes", "t opens a shell in it: ps")
    if not _pod_spec(raw).get("containers"):
        raise DevenvError(f"A {raw.get('kind', 'thing')} of this kind has no containers", "Its pods have.")
    if subject == "environment":
        return environment_of(client, raw)
    return _mounts(client, raw) if subject == "mounts" else _FROM_OBJECT[subject](raw)


def _plain_object(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the object without what the server notes of its writers, and without kubectl's copy of the whole."""
    meta = {key: value for key, value in mapping(raw.get("metadata")).items() if key != "managedFields"}
    annotations = {key: value for key, value in mapping(meta.get("annotations")).items() if key != _APPLIED}
    if "annotations" in meta:
        meta["annotations"] = annotations
    return {**raw, "metadata": meta}


def _pod_spec(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    spec = mapping(raw.get("spec"))
    template = mapping(mapping(mapping(spec.get("jobTemplate")).get("spec")).get("template") or spec.get("template"))
    return mapping(template.get("spec")) or spec


def _mounts(client: KubeClient, raw: Mapping[str, Any]) -> list[Mount]:
    """Return what each container mounts; a claim's size is its capacity, as the cluster counts no more."""
    namespace = word(mapping(raw.get("metadata")).get("namespace"))
    volumes = {word(volume.get("name")): volume for volume in mappings(_pod_spec(raw).get("volumes"))}
    mounts = []
    for container in mappings(_pod_spec(raw).get("containers")):
        for item in mappings(container.get("volumeMounts")):
            volume = volumes.get(word(item.get("name")), {})
            kind = next((key for key in volume if key != "name"), "volume")
            about = mapping(volume.get(kind))
            names = ("claimName", "secretName", "name", "path")
            source = next((word(about[key]) for key in names if about.get(key)), "")
            size = quantity(about.get("sizeLimit"))
            if kind == "persistentVolumeClaim":
                with suppress(KubeError):
                    claim = client.get(PVCS.path(namespace, source))
                    size = quantity(mapping(mapping(claim.get("status")).get("capacity")).get("storage"))
            mounts.append(
                Mount(
                    word(item.get("mountPath")),
                    kind,
                    source or word(item.get("name")),
                    item.get("readOnly") is True,
                    None if size is None else int(size),
                    word(container.get("name")),
                )
            )
    return mounts


def _networks(raw: Mapping[str, Any]) -> list[Network]:
    status, spec = mapping(raw.get("status")), _pod_spec(raw)
    addresses = tuple(word(item.get("ip")) for item in mappings(status.get("podIPs"))) or (word(status.get("podIP")),)
    names = (word(spec.get("hostname")), word(spec.get("subdomain")))
    name = "the node's network" if spec.get("hostNetwork") is True else "the pods' network"
    return [Network(name, tuple(filter(None, addresses)), word(status.get("hostIP")), tuple(filter(None, names)))]


def _image(raw: Mapping[str, Any]) -> list[Image]:
    """Return the image of each container, by the id that the node's runtime gave it where there is one."""
    states = mappings(mapping(raw.get("status")).get("containerStatuses"))
    ids = {word(state.get("name")): word(state.get("imageID")) for state in states}
    containers = mappings(_pod_spec(raw).get("containers"))
    return [Image(word(item.get("image")), ids.get(word(item.get("name")), "")) for item in containers]


_FROM_OBJECT: Final[Mapping[Subject, Callable[[Mapping[str, Any]], Seen]]] = {"networks": _networks, "image": _image}
