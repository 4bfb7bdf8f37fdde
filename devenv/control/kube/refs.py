"""Which object is meant: "deployment/web", or with its namespace "deployment/docsearch/web"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import NotFound
from devenv.backends.kube.kinds import KNOWN, Kind, discover, find_kind
from devenv.core.errors import UsageError
from devenv.core.text import sanitize

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
            found: dict[str, Any] = client.get(self.path())
        except NotFound as error:
            where = f" in namespace {self.namespace}" if self.namespace else ""
            raise NotFound(f"There is no {self.text}{where}", error.hint, status=404, reason=error.reason) from error
        return found


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
