"""The kubelet's probe counters, from its /metrics/probes in Prometheus' text format.

`prober_probe_total{container,namespace,pod,probe_type,result}` (kubelet, pkg/kubelet/prober/prober_manager.go). The
series of a container vanish with its probe worker, so they are read again and again during a run.
"""

from __future__ import annotations

import re
from typing import Final

_LINE: Final = re.compile(r"prober_probe_total\{(?P<labels>[^}]*)\} (?P<value>[0-9.e+]+)")
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def parse_probes(text: str, namespace: str) -> dict[str, int]:
    """Return the counters of a namespace by `pod/container/type/result`, in lower case but for the names."""
    found: dict[str, int] = {}
    for match in _LINE.finditer(text):
        labels = dict(_LABEL.findall(match["labels"]))
        if labels.get("namespace") == namespace:
            kind, result = labels.get("probe_type", "").lower(), labels.get("result", "").lower()
            key = f"{labels.get('pod', '')}/{labels.get('container', '')}/{kind}/{result}"
            found[key] = found.get(key, 0) + round(float(match["value"]))
    return found
