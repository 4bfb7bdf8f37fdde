"""What a change of a cluster is about: the objects (`Ref`), what is asked (`Call`), and what it would hit (`Impact`).

An object is named "deployment/web", or with its namespace "deployment/docsearch/web". What is lost when pods go is said
in the same words for whatever removes them: local data (emptyDir) go with their pod, nothing makes a pod without a
controller again, and without its last ready pod a workload or a Service serves nothing.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import Forbidden, NotFound
from devenv.backends.kube.kinds import KNOWN, PODS, SERVICES, Kind, discover, find_kind
from devenv.backends.kube.pod import Pod, read_pod
from devenv.control.guard import ClusterIdentity
from devenv.control.stream import Remark
from devenv.core.errors import DevenvError, UsageError
from devenv.core.model import Progress
from devenv.core.text import counted, sanitize

PREFIX = "kubernetes:"  # targets may begin with it, where Compose's are named beside them


@dataclass(frozen=True, slots=True)
class Ref:
    """One object; `namespace` is "" for a kind without."""

    kind: Kind
    namespace: str
    name: str

    @property
    def text(self) -> str:
        """Return "deployment/web"."""
        return sanitize(f"{self.kind.name.lower()}/{self.name}")

    @property
    def target(self) -> str:
        """Return what `parse_ref` reads wherever it is read: "deployment/docsearch/web", "node/minikube"."""
        middle = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind.name.lower()}/{middle}{self.name}"

    def path(self, sub: str = "") -> str:
        """Return the object's path, or that of a subresource."""
        return self.kind.path(self.namespace or None, self.name, sub)

    def read(self, client: KubeClient) -> dict[str, Any]:
        """Return the whole object; raises NotFound with its name, and other KubeErrors."""
        try:
            item: dict[str, Any] = client.get(self.path())
        except NotFound as error:
            where = f" in namespace {self.namespace}" if self.namespace else ""
            raise NotFound(f"There is no {self.text}{where}", error.hint, status=404, reason=error.reason) from error
        return item


def parse_ref(word: str, client: KubeClient) -> Ref:
    """Read one target; its namespace is the client's where it names none.

    Raises UsageError for another form, NotFound for a kind that the cluster does not serve.
    """
    parts = word.removeprefix(PREFIX).split("/")
    if len(parts) not in (2, 3) or not all(parts):
        raise UsageError(f"{sanitize(word)!r} does not name an object", "Write KIND/NAME, as in deployment/web.")
    kind = kind_of(parts[0], client)
    if not kind.namespaced:
        return Ref(kind, "", parts[-1])
    return Ref(kind, parts[1] if len(parts) == 3 else client.target.namespace, parts[-1])


def parse_refs(words: Iterable[str], client: KubeClient) -> tuple[Ref, ...]:
    """Read targets as kubectl takes them: KIND/NAME ..., or KIND NAME ..."""
    words = tuple(words)
    if words and "/" not in words[0]:
        kind = kind_of(words[0], client)
        if len(words) == 1:
            raise UsageError(f"Which {kind.name.lower()}?", f"Write {kind.name.lower()}/NAME.")
        namespace = client.target.namespace if kind.namespaced else ""
        return tuple(Ref(kind, namespace, name) for name in words[1:])
    return tuple(parse_ref(word, client) for word in words)


def kind_of(word: str, client: KubeClient) -> Kind:
    """Return the kind of that word; asks the server only for what is not built in."""
    try:
        return find_kind(word, KNOWN)
    except NotFound:
        return find_kind(word, discover(client))


def ref_of(item: Mapping[str, Any], kind: Kind) -> Ref:
    """Return the name of an object that was read."""
    metadata = item["metadata"]
    return Ref(kind, str(metadata.get("namespace") or ""), str(metadata["name"]))


def pods_in(client: KubeClient, namespace: str | None, *, labels: str = "", fields: str = "") -> list[Pod]:
    """Return the pods of a namespace, of all where None; raises KubeError."""
    return [read_pod(item) for item in client.list(PODS, namespace, labels=labels, fields=fields)[0]]


Report = Callable[[Progress | Remark], None]


@dataclass(frozen=True, slots=True)
class Impact:
    """The blast radius in words. `losses` cannot be had back; `confirm`: a person should see it first.

    `options` are facts that the doing needs, as the uids of the objects that were looked at.
    """

    sentences: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    confirm: bool = False
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """One carrying out of a verb; `stop` is set when it shall end early."""

    client: KubeClient
    refs: tuple[Ref, ...]
    options: Mapping[str, str] = field(default_factory=dict)
    report: Report = lambda record: None
    stop: threading.Event = field(default_factory=threading.Event)
    environ: Mapping[str, str] = field(default_factory=dict)

    def step(self, ref: Ref, text: str, status: str = "done", details: str = "") -> None:
        """Tell how far one object is."""
        self.report(Progress(ref.text, text, status, details))


Survey = Callable[[Call], Impact]
Do = Callable[[Call], str]


_OPERATORS = {"In": "in", "NotIn": "notin"}


def label_selector(selector: Mapping[str, Any]) -> str:
    """Return `app=web,tier in (a,b),!old` for matchLabels and matchExpressions, or for a Service's plain mapping."""
    if not selector.keys() & {"matchLabels", "matchExpressions"}:
        return ",".join(f"{key}={value}" for key, value in selector.items())
    parts = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for rule in selector.get("matchExpressions") or ():
        key, operator = str(rule.get("key")), str(rule.get("operator"))
        if operator in _OPERATORS:
            parts.append(f"{key} {_OPERATORS[operator]} ({','.join(rule.get('values') or ())})")
        else:
            parts.append(f"!{key}" if operator == "DoesNotExist" else key)
    return ",".join(parts)


def cluster_identity(client: KubeClient, namespace: str = "", *, ask: bool = False) -> ClusterIdentity:
    """Return where the client's context leads, from the kubeconfig alone; with `ask` the cluster tells its uid too.

    Raises BadKubeconfig, and with `ask` any KubeError.
    """
    endpoint = client.endpoint()
    authority = hashlib.sha256(endpoint.ca_data.encode()).hexdigest()[:12] if endpoint.ca_data else "none"
    return ClusterIdentity(
        context=client.target.context.name,
        namespace=namespace or client.target.namespace,
        cluster=f"{endpoint.server} (authority {authority})",
        cluster_uid=client.identity() if ask else "",
    )


Error = TypeVar("Error", bound=DevenvError)


def reworded(error: Error, message: str, hint: str) -> Error:
    """Return the same error with another message and hint."""
    error.message, error.hint = message, hint
    error.args = (message,)
    return error


_NAMED: Final = 8  # pods of which the local data are named one by one


def pod_name(pod: Pod) -> str:
    """Return "NAMESPACE/NAME"."""
    return f"{pod.namespace}/{pod.name}"


def local_volumes(spec: Mapping[str, Any]) -> str:
    """Return "emptyDir a, b" of a pod's spec; "" where it has none."""
    names = [str(volume["name"]) for volume in spec.get("volumes") or () if "emptyDir" in volume]
    return sanitize(f"emptyDir {', '.join(names)}") if names else ""


def losses_with(pods: Iterable[Pod]) -> tuple[str, ...]:
    """Return what goes for ever with these pods. What has ended is not missed."""
    alive = [pod for pod in pods if not pod.is_finished]
    local = [pod for pod in alive if local_volumes(pod.spec)]
    lost = [f"the local data of pod {pod_name(pod)}: {local_volumes(pod.spec)}" for pod in local[:_NAMED]]
    if local[_NAMED:]:
        lost.append(f"the local data of {counted(len(local) - _NAMED, 'pod')} more")
    return (*lost, *(f"pod {pod_name(pod)}: nothing makes it again" for pod in alive if not pod.owner[0]))


def last_ready(client: KubeClient, leaving: Sequence[Pod]) -> tuple[str, ...]:
    """Return a sentence that names the workloads and Services whose last ready pod is among those that leave."""
    gone = {pod.uid for pod in leaving}
    named: dict[str, None] = {}
    for namespace in dict.fromkeys(pod.namespace for pod in leaving if pod.is_serving):
        going = [pod for pod in leaving if pod.namespace == namespace and pod.is_serving]
        others = (read_pod(item) for item in _list(client, PODS, namespace))
        staying = [pod for pod in others if pod.uid not in gone and pod.is_serving]
        workloads = {_workload(pod) for pod in staying}
        named |= dict.fromkeys(name for pod in going if (name := _workload(pod)) and name not in workloads)
        for service in _list(client, SERVICES, namespace):
            selector = (service.get("spec") or {}).get("selector")
            served = [pod for pod in (*going, *staying) if selector and selector.items() <= pod.labels.items()]
            if served and all(pod.uid in gone for pod in served):
                named[sanitize(f"service/{namespace}/{service['metadata']['name']}")] = None
    if not named:
        return ()
    return (f"Takes the last ready pod of {', '.join(named)}: nothing serves until another one is ready.",)


def _workload(pod: Pod) -> str:
    """Return "deployment/NAMESPACE/NAME" of what runs it for good; "" for Jobs and pods of their own."""
    kind, name = pod.workload
    return f"{kind.lower()}/{pod.namespace}/{name}" if kind and kind != "Job" else ""


def _list(client: KubeClient, kind: Kind, namespace: str) -> list[dict[str, Any]]:
    try:
        return client.list(kind, namespace)[0]
    except Forbidden:
        return []  # what may not be read is not judged
