"""What a verb would hit, found out before it is done, and how it is done: the shape that all verbs share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from devenv.backends.kube.client import KubeClient
from devenv.control.kube.refs import Ref
from devenv.control.stream import Remark
from devenv.core.model import Progress

Report = Callable[[Progress | Remark], None]


@dataclass(frozen=True, slots=True)
class Impact:
    """The blast radius in words. `losses` cannot be had back; `confirm`: a person should see it first.

    `options` are facts that the doing needs, as the uids of the objects that were meant.
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


def counted(count: int, singular: str, plural: str = "") -> str:
    """Return "1 pod", "2 pods"."""
    return f"{count} {singular if count == 1 else plural or f'{singular}s'}"
