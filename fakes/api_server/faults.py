"""What can be wrong with a server, switched on and off while it runs."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from devenv.backends.kube.kinds import Kind
from fakes.api_server.status import Refusal


@dataclass
class Faults:
    """The faults of one server; all are off at first.

    token          the only bearer token that is accepted ("" accepts everybody); set another one to rotate it
    forbidden      plurals ("secrets") or namespace/plural ("prod/pods") that answer with 403
    busy           how many requests are answered with 429 before the next ones pass; `retry_after` seconds (0: none)
    failing        path prefix -> HTTP status of an answer without JSON, as a proxy or a broken aggregated API gives it
    slow           seconds before each answer begins
    expire_pages   continue tokens are too old (410)
    node_gone      what is answered (500) where a kubelet would be asked: logs, commands, forwards ("": it is)
    bookmark_every seconds between bookmarks (a real server: about 60; 0: none)
    """

    token: str = ""
    forbidden: set[str] = field(default_factory=set)
    busy: int = 0
    retry_after: int = 0
    failing: dict[str, int] = field(default_factory=dict)
    slow: float = 0.0
    expire_pages: bool = False
    node_gone: str = ""
    bookmark_every: float = 60.0
    _flowing: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._flowing.set()

    def hang(self) -> None:
        """Go half-open: connections stay, new ones are taken, nothing is sent any more until `flow`."""
        self._flowing.clear()

    def flow(self) -> None:
        self._flowing.set()

    @property
    def hanging(self) -> bool:
        return not self._flowing.is_set()

    def wait(self, stopping: threading.Event) -> None:
        """Wait while the server hangs or is slow."""
        while not self._flowing.wait(0.05) and not stopping.is_set():
            continue
        if self.slow:
            stopping.wait(self.slow)

    def check(self, path: str, authorization: str) -> None:
        """Refuse a request before anything else looks at it."""
        if self.token and authorization != f"Bearer {self.token}":
            raise Refusal(401, "Unauthorized")
        with self._lock:
            if self.busy > 0:
                self.busy -= 1
                headers = {"Retry-After": str(self.retry_after)} if self.retry_after else {}
                raise Refusal(429, "Too many requests, please try again later.", headers=headers)

    def check_kind(self, kind: Kind, namespace: str | None, verb: str, user: str = "devenv") -> None:
        if kind.plural in self.forbidden or f"{namespace}/{kind.plural}" in self.forbidden:
            where = f' in the namespace "{namespace}"' if namespace else " at the cluster scope"
            message = (
                f'{kind.full_name} is forbidden: User "{user}" cannot {verb} resource "{kind.plural}" '
                f'in API group "{kind.group}"{where}'
            )
            raise Refusal(403, message, details={"group": kind.group, "kind": kind.plural})
