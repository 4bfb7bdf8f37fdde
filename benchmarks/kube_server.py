"""The in-process API server as a process of its own, so that its work is in nobody's figures.

`python -m benchmarks.kube_server KUBECONFIG PODS` serves, prints {"ready": true, "bytes": N}, and then answers lines:
    unready N       the first pod of deployment N is not ready: prints the moment (CLOCK_MONOTONIC, all processes' own)
    ready N         and is again
    churn SECONDS   ten pods a second restart once more, evenly spread
    requests        how many requests came so far, by method and path
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.kube_pods import PODS_EACH, fill
from fakes.api_server import ApiServer

RATE = 10.0


def main() -> None:
    path, count = Path(sys.argv[1]), int(sys.argv[2])
    with ApiServer() as api:
        names = fill(api, count)
        api.kubeconfig(path)
        tell(ready=True, bytes=len(api.store.all(api.served.named("pods"), None)[0].raw))
        for line in sys.stdin:
            word, _, rest = line.strip().partition(" ")
            match word:
                case "ready" | "unready":
                    tell(at=set_ready(api, names, int(rest), ready=word == "ready"))
                case "churn":
                    churn(api, names, float(rest))
                    tell(done=True)
                case "requests":
                    tell(requests=dict(api.requests))


def set_ready(api: ApiServer, names: list[str], number: int, *, ready: bool) -> float:
    """Change a pod, and then its deployment, as the kubelet and the controller do."""
    name = names[number * PODS_EACH]
    pod = api.get("pods", name)
    assert pod is not None
    conditions = pod["status"]["conditions"]
    for condition in conditions:
        if condition["type"] in ("Ready", "ContainersReady"):
            condition["status"] = "True" if ready else "False"
    states = pod["status"]["containerStatuses"]
    states[0]["ready"] = ready
    at = time.monotonic()
    api.change("pods", name, {"status": {"conditions": conditions, "containerStatuses": states}})
    deployment = api.get("deployments", f"service-{number:03}")
    assert deployment is not None
    count = deployment["spec"]["replicas"] - (not ready)
    api.change("deployments", f"service-{number:03}", {"status": {"readyReplicas": count, "availableReplicas": count}})
    return at


def churn(api: ApiServer, names: list[str], seconds: float) -> None:
    """Restart a container count up, ten times a second."""
    began = time.monotonic()
    step = max(1, len(names) // 97)
    for turn in range(int(seconds * RATE)):
        time.sleep(max(0.0, began + turn / RATE - time.monotonic()))
        name = names[turn * step % len(names)]
        pod = api.get("pods", name)
        assert pod is not None
        states = pod["status"]["containerStatuses"]
        states[0]["restartCount"] += 1
        api.change("pods", name, {"status": {"containerStatuses": states}})


def tell(**about: Any) -> None:
    print(json.dumps(about), flush=True)


if __name__ == "__main__":
    main()
