"""The wait of a deployment: its words as they change, and the pods that are new since it began."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from devenv.backends.kube.client import KubeClient
from devenv.control.kube.pod_stages import PodStages
from devenv.control.kube.rollout_view import Key
from devenv.control.kube.wait import Patience, Waiting, WaitResult, wait_for


class Rollout:
    """Waits for the workloads of a deployment, and keeps what was seen last."""

    def __init__(self, client: KubeClient, patience: Patience, report: Callable[[Waiting], None]) -> None:
        self._client = client
        self._patience = patience
        self._report = report
        self.last: Waiting | None = None
        self.pods: tuple[PodStages, ...] = ()

    def begin(self) -> None:
        """Forget an earlier rollout: what follows is a new one."""
        self.last, self.pods = None, ()

    def wait(self, workloads: Collection[Key]) -> WaitResult:
        """Wait for them; what `wait_for` raises passes."""

        def report(waiting: Waiting) -> None:
            self.last, self.pods = waiting, waiting.pods
            self._report(waiting)

        if not workloads:
            return WaitResult(True, 0.0)
        outcome = wait_for(self._client, workloads, self._patience, report=report)
        self.last, self.pods = Waiting(outcome.seconds, outcome.states, outcome.pods), outcome.pods
        return outcome

    def pod_lines(self) -> list[str]:
        """Return a line for each pod: the seconds from its creation to each stage."""
        lines = []
        for pod in self.pods:
            stages = ", ".join(f"{stage} {seconds:.0f} s" for stage, seconds in pod.seconds.items())
            age = time.time() - pod.created
            lines.append(f"{pod.name}: created {age:.0f} s ago{f', {stages}' if stages else ''}")
        return lines
