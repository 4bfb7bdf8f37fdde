"""Events of the API (v1): what happened to which object, how often, and told by whom."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from devenv.backends.kube.parse.common import key_of, mapping, number, text, time_of, word
from devenv.core.model import Happening

_CONTAINER: Final = re.compile(r"\{(.+)\}$")
# The message of a probe: "Readiness probe failed: ..." (pkg/kubelet/prober/prober.go).
_PROBE: Final = re.compile(r"^(Readiness|Liveness|Startup) probe (failed|errored)[^:]*: ?(.*)$", re.DOTALL)
UNHEALTHY: Final = "Unhealthy"


@dataclass(frozen=True, slots=True)
class Told:
    """One event: `slot` names what it explains (the reason, with the container's name for a probe's)."""

    uid: str  # of the event itself
    happening: Happening
    slot: str
    count: int
    words: str
    warning: bool
    kind: str  # of the object that it tells about
    name: str
    namespace: str


def parse_event(raw: Mapping[str, Any]) -> Told:
    """Read an event, as recorders of events/v1 write them too (eventTime and series instead of count)."""
    meta, about, series = (mapping(raw.get(name)) for name in ("metadata", "involvedObject", "series"))
    about = about or mapping(raw.get("regarding"))
    at = (
        time_of(series.get("lastObservedTime"))
        or time_of(raw.get("lastTimestamp"))
        or time_of(raw.get("eventTime"))
        or time_of(raw.get("firstTimestamp"))
        or time_of(meta.get("creationTimestamp"))
        or 0.0
    )
    count = number(series.get("count")) or number(raw.get("count")) or 1
    reason = word(raw.get("reason"))
    message = text(raw.get("message") or raw.get("note"))
    container = _CONTAINER.search(str(about.get("fieldPath") or ""))
    component = word(mapping(raw.get("source")).get("component") or raw.get("reportingComponent"))
    attributes = [("count", str(count)), ("type", word(raw.get("type"))), ("component", component)]
    if container is not None:
        attributes.append(("container", word(container[1])))
    attributes += [("kind", word(about.get("kind"))), ("name", word(about.get("name")))]
    return Told(
        uid=word(meta.get("uid")),
        happening=Happening(key_of(word(about.get("uid"))), at, reason, message, tuple(attributes)),
        slot=f"{reason}/{word(container[1])}" if reason == UNHEALTHY and container is not None else reason,
        count=count,
        words=_words(message),
        warning=raw.get("type") == "Warning",
        kind=word(about.get("kind")),
        name=word(about.get("name")),
        namespace=word(about.get("namespace")),
    )


def _words(message: str) -> str:
    match = _PROBE.match(message)
    return f"{match[1].lower()} probe {match[2]}: {match[3].strip()}" if match is not None else message
