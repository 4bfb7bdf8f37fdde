"""What a load test on a cluster needs beyond the backend's records: settings, ready endpoints, probe counters.

`prober_probe_total{container,namespace,pod,probe_type,result}` (kubelet, pkg/kubelet/prober/prober_manager.go) is in
Prometheus' text format at /metrics/probes. The series of a container vanish with its probe worker, so they are read
again and again during a run.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.kinds import DEPLOYMENTS, ENDPOINT_SLICES, HPAS, NODES, PODS
from devenv.backends.kube.kubeconfig import Target
from devenv.backends.streams import Stream
from devenv.core.errors import DevenvError
from devenv.load.recording import Encoded

_LINE: Final = re.compile(r"prober_probe_total\{(?P<labels>[^}]*)\} (?P<value>[0-9.e+]+)")
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def parse_probes(text: str, namespace: str) -> dict[str, int]:
    """Return the counters of a namespace by `pod/container/type/result`, in lower case but for the names."""
    counters: dict[str, int] = {}
    for match in _LINE.finditer(text):
        labels = dict(_LABEL.findall(match["labels"]))
        if labels.get("namespace") == namespace:
            kind, result = labels.get("probe_type", "").lower(), labels.get("result", "").lower()
            key = f"{labels.get('pod', '')}/{labels.get('container', '')}/{kind}/{result}"
            counters[key] = counters.get(key, 0) + round(float(match["value"]))
    return counters


ROUND: Final = 2.0  # seconds between two looks at the endpoints
PROBES_EVERY: Final = 2  # rounds; probes of docsearch run every 5 and 10 s
_SYNC: Final = re.compile(r"--horizontal-pod-autoscaler-sync-period=(\d+(?:\.\d+)?)(m?s|m)")
_TOLERANCE: Final = re.compile(r"--horizontal-pod-autoscaler-tolerance=([0-9.]+)")
_RESOLUTION: Final = re.compile(r"--metric-resolution=(\d+(?:\.\d+)?)(m?s|m)")
_PROBES: Final = ("startupProbe", "readinessProbe", "livenessProbe")
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0}


class ClusterFacts:
    """Reads in a thread of its own; what cannot be read is recorded as missing, once, with the reason."""

    def __init__(self, target: Target, service: str, environ: Mapping[str, str] = os.environ) -> None:
        self._target = target
        self._service = service
        self._client = KubeClient(target, environ)
        self._lines: list[Encoded] = []
        self._lock = threading.Lock()
        self._before: dict[str, dict[str, Any]] = {}
        self._missing: dict[str, str] = {}
        self._stream = Stream("load-cluster-facts", self._run, lambda error, pause: self._lost("cluster", str(error)))

    def start(self) -> None:
        """Start the thread."""
        self._stream.start()

    def drain(self) -> list[Encoded]:
        """Take what was read."""
        with self._lock:
            lines, self._lines = self._lines, []
        return lines

    def stop(self) -> None:
        """End the thread."""
        self._stream.stop()
        self._stream.join(1.0)
        self._client.close()

    def _run(self, stream: Stream) -> None:
        self._read_settings()
        stream.succeeded()
        never = threading.Event()
        number = 0
        while True:
            due = time.monotonic() + ROUND
            self._try("endpoints", self._endpoints)
            if number % PROBES_EVERY == 0:
                self._try("probe counters", self._probes)
            number += 1
            stream.wait_until(never, max(0.0, due - time.monotonic()))

    def _read_settings(self) -> None:
        namespace = self._target.namespace
        settings: dict[str, Any] = {"service": self._service}
        hpas, _ = self._client.list(HPAS, namespace)
        ours = [item for item in hpas if item["spec"]["scaleTargetRef"].get("name") == self._service]
        settings["autoscaler"] = ours[0]["spec"] if ours else None
        deployments, _ = self._client.list(DEPLOYMENTS, namespace)
        mine = next((item for item in deployments if item["metadata"]["name"] == self._service), None)
        settings["containers"] = self._containers(mine) if mine else []
        settings |= self._arguments()
        nodes, _ = self._client.list(NODES)
        settings["allocatable"] = {item["metadata"]["name"]: item["status"].get("allocatable", {}) for item in nodes}
        self._put("settings", settings)

    def _containers(self, deployment: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return what a replica asks for: as its newest pod has it, since a LimitRange may add what is not written."""
        labels = deployment["spec"].get("selector", {}).get("matchLabels") or {}
        selector = ",".join(f"{name}={value}" for name, value in labels.items())
        pods, _ = self._client.list(PODS, self._target.namespace, labels=selector) if selector else ([], "")
        staying = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
        newest = max(staying, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")), default=None)
        spec = newest["spec"] if newest else deployment["spec"]["template"]["spec"]
        # The autoscaler adds up the requests of sidecars too: init containers that never end.
        sidecars = [item for item in spec.get("initContainers") or () if item.get("restartPolicy") == "Always"]
        kept = ("name", "resources", *_PROBES)  # variables may hold secrets
        return [{key: item[key] for key in kept if key in item} for item in (*spec["containers"], *sidecars)]

    def _arguments(self) -> dict[str, float]:
        """Return what the command lines of the controllers say, where they run as pods that may be read."""
        settings: dict[str, float] = {}
        try:
            pods, _ = self._client.list(PODS, "kube-system")
        except DevenvError as error:
            self._lost("controller settings", error.message)
            return settings
        for pod in pods:
            words = " ".join(
                word
                for item in pod["spec"].get("containers", ())
                for word in [*(item.get("command") or ()), *(item.get("args") or ())]
            )
            if match := _SYNC.search(words):
                settings["sync"] = float(match[1]) * _UNITS[match[2]]
            if match := _TOLERANCE.search(words):
                settings["tolerance"] = float(match[1])
            if match := _RESOLUTION.search(words):
                settings["resolution"] = float(match[1]) * _UNITS[match[2]]
        return settings

    def _endpoints(self) -> None:
        slices, _ = self._client.list(
            ENDPOINT_SLICES, self._target.namespace, labels=f"kubernetes.io/service-name={self._service}"
        )
        ready: set[str] = set()
        for item in slices:
            for endpoint in item.get("endpoints") or ():
                if (endpoint.get("conditions") or {}).get("ready", True):
                    ready.update(endpoint.get("addresses") or ())
        self._put("endpoints", {"ready": len(ready)})

    def _probes(self) -> None:
        nodes, _ = self._client.list(NODES)
        counters: dict[str, int] = {}
        for node in nodes:
            name = str(node["metadata"]["name"])
            self._try(f"probe counters of {name}", partial(self._probes_of, name, counters))
        if counters:
            self._put("probes", {"counters": counters})

    def _probes_of(self, node: str, counters: dict[str, int]) -> None:
        text = self._client.request("GET", f"{NODES.path(None, node)}/proxy/metrics/probes", accept="text/plain")
        counters |= parse_probes(str(text), self._target.namespace)

    def _try(self, what: str, read: Callable[[], None]) -> None:
        try:
            read()
        except DevenvError as error:
            self._lost(what, error.message)
            return
        if self._missing.pop(what, None) is not None:
            self._put("found", {"what": what})

    def _lost(self, what: str, why: str) -> None:
        if self._missing.get(what) != why:
            self._missing[what] = why
            self._put("missing", {"what": what, "why": why})

    def _put(self, kind: str, values: dict[str, Any]) -> None:
        if self._before.get(kind) == values and kind != "missing":
            return
        self._before[kind] = values
        with self._lock:
            self._lines.append((kind, values))
