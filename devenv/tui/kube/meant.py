"""Which keys make sense for which kinds."""

from __future__ import annotations

ROLLED = frozenset({"deployment", "statefulset", "daemonset"})
SCALED = frozenset({"deployment", "statefulset", "replicaset"})
LED_TO = frozenset({"pod", "service", *SCALED})
PODS_OF = frozenset({"pod", "daemonset", "job", *SCALED})
MEANT_FOR = {
    "scale": SCALED,
    "undo": ROLLED,
    "pause": frozenset({"deployment"}),
    "rollout": ROLLED,
    "debug": frozenset({"pod", "node"}),
    "previous": frozenset({"pod"}),
    "forward": LED_TO,
    "cordon": frozenset({"node"}),
    "drain": frozenset({"node"}),
    "evict": frozenset({"pod"}),
}
FOR_ANY = ("yaml", "describe", "owners", "edit", "delete")
