"""What the terminal and the commands may ask of whatever changes a runtime."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from devenv.core.model import Action, Change

CHANGING_VERBS = ("up", "down", "restart", "stop", "start", "build", "sync", "exec")


class Plan(Struct, frozen=True):
    """The guard's answer to a wish: whether it may be done, and what it will hit. Nothing was done yet.

    `sentences` is the blast radius in a person's words. `losses` names what cannot be had back (volumes). A plan that
    `needs_confirmation` is to be shown before it is requested; `reason` and `hint` say why a refused one was refused.
    """

    verb: str
    targets: tuple[str, ...] = ()  # services; empty means the whole project
    volumes: bool = False
    allowed: bool = True
    needs_confirmation: bool = False
    sentences: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    reason: str = ""
    hint: str = ""
    # Only of a cluster. `cluster`: server and authority that the context led to; `cluster_uid`: the cluster's own uid.
    context: str = ""
    namespace: str = ""
    cluster: str = ""
    cluster_uid: str = ""
    options: tuple[tuple[str, str], ...] = ()  # what the verb needs beside targets: ("replicas", "3")

    def option(self, name: str, default: str = "") -> str:
        """Return one of the options."""
        return dict(self.options).get(name, default)


class Control(Protocol):
    """Changes one runtime: each request runs in a named thread and tells its life as records.

    No method blocks on the network. All may be called from one thread only.
    """

    def start(self, wake: Callable[[], None]) -> None:
        """Begin to take requests. `wake` is called from a thread when an empty buffer gets its first record."""
        ...

    def stop(self) -> None:
        """Interrupt what runs and wait a short while (at most 2 s) for it."""
        ...

    def drain(self) -> list[Change]:
        """Take the Action and Progress records since the last call, in order."""
        ...

    def plan(self, verb: str, targets: tuple[str, ...] = (), *, volumes: bool = False) -> Plan:
        """Return what the verb would do to these services (none: the whole project), and whether it is allowed."""
        ...

    def request(self, plan: Plan) -> Action:
        """Begin to carry a plan out; the caller has confirmed it.

        Raises Refused by policy, and while another change of the project runs.
        """
        ...

    def cancel(self, action_id: int) -> None:
        """Interrupt a running action, as ctrl-c does; unknown and ended ones are left alone."""
        ...
