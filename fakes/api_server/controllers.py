"""The cluster's controllers, scripted: they make replica sets and pods, and move pods through their stages.

    api.controllers.start(pace=0.02)     a thread: one step every 20 ms;  .stop()
    api.controllers.step()               one step by hand, True while something changes;  .settle() until nothing does
    api.controllers.behave("web:2", "missing")   what pods of an image do: "ok", "missing" (image pull fails), "crash",
                                         "unready" (readiness probe fails), "unschedulable", "never-starts"
    api.controllers.quota["default"] = 3         pods that a namespace may have
    api.controllers.terminating_steps = 5        how long a deleted pod stays as Terminating
    api.controllers.rollout(deployment(...))     put it and settle; returns it as it is then

A pod moves one stage a step: created, scheduled, pulling, running, ready. Progress deadlines are in real seconds.
"""

from __future__ import annotations

import copy
import threading
from typing import TYPE_CHECKING

from devenv.backends.kube.kinds import DAEMON_SETS, DEPLOYMENTS, EVENTS, JOBS, PODS, REPLICA_SETS, STATEFUL_SETS, Kind
from fakes.api_server import endpoints, pod_life, rolling, workloads
from fakes.api_server.samples import event, owner_reference
from fakes.api_server.status import Object, Refusal
from fakes.api_server.store import now

if TYPE_CHECKING:
    from fakes.api_server.server import ApiServer

BEHAVIOURS = ("ok", "missing", "crash", "unready", "unschedulable", "never-starts")
MOST_STEPS = 500


class Controllers:
    """All controllers of one server; they hold no state that is not in its objects, but for terminating pods."""

    def __init__(self, api: ApiServer) -> None:
        self.api = api
        self.images: dict[str, str] = {}
        self.quota: dict[str, int] = {}
        self.terminating_steps = 1
        self.progressed: dict[str, tuple[object, float]] = {}
        self._leaving: dict[str, int] = {}
        self._active = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.error: Exception | None = None

    def behave(self, image: str, how: str) -> None:
        """Say what containers of this image do from now on; pods that wait or crash go on by it."""
        if how not in BEHAVIOURS:
            raise ValueError(f"{how} is none of {BEHAVIOURS}")
        self.images[image] = how

    def start(self, pace: float = 0.02) -> None:
        """Step in a thread, every `pace` seconds."""
        self._active = True
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, args=(pace,), name="controllers", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; raises what ended it before."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(5)
            self._thread = None
        if self.error is not None:
            error, self.error = self.error, None
            raise error

    def step(self) -> bool:
        """Let every controller look once; whether anything changed."""
        self._active = True
        with self.api.store.changed:
            before = self.api.store.version
            for kind, reconcile in (
                (DEPLOYMENTS, rolling.deployment),
                (REPLICA_SETS, workloads.replica_set),
                (STATEFUL_SETS, workloads.stateful_set),
                (DAEMON_SETS, workloads.daemon_set),
                (JOBS, workloads.job),
            ):
                for entry in self.api.store.all(kind, None):
                    if "deletionTimestamp" not in entry.content["metadata"]:
                        reconcile(self, copy.deepcopy(entry.content))
            for entry in self.api.store.all(PODS, None):
                self._live(copy.deepcopy(entry.content))
            endpoints.reconcile(self)
            return self.api.store.version != before

    def settle(self) -> int:
        """Step until nothing changes any more, and return how many steps that took."""
        for count in range(MOST_STEPS):
            if not self.step():
                return count
        raise AssertionError("the controllers do not come to rest")

    def rollout(self, content: Object) -> Object:
        """Put a workload, settle, and return it as it is then."""
        stored = self.api.put(content)
        self.settle()
        kind = self.api.served.of(content)
        return self.api.get(kind, stored["metadata"]["name"], stored["metadata"]["namespace"]) or {}

    def pods_of(self, owner: Object) -> list[Object]:
        """Return the pods that an owner controls, those that are going included."""
        found = []
        for entry in self.api.store.all(PODS, owner["metadata"]["namespace"]):
            references = entry.content["metadata"].get("ownerReferences") or []
            if any(reference.get("uid") == owner["metadata"]["uid"] for reference in references):
                found.append(copy.deepcopy(entry.content))
        return found

    def save(self, kind: Kind, content: Object) -> Object:
        """Write an object as its controller, and return a copy of it as it is stored."""
        return copy.deepcopy(self.api.store.write(kind, content).content)

    def create_pod(
        self, owner: Object, template: Object, *, name: str = "", labels: dict[str, str] | None = None
    ) -> None:
        """Create a pod of a workload; raises Refusal where a quota or an admission forbids it."""
        about = copy.deepcopy(template.get("metadata") or {})
        about["labels"] = {**(about.get("labels") or {}), **(labels or {})}
        about["ownerReferences"] = [owner_reference(owner)]
        about |= {"name": name} if name else {"generateName": f"{owner['metadata']['name']}-"}
        content = {"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": copy.deepcopy(template["spec"])}
        content["status"] = {"phase": "Pending"}
        namespace = owner["metadata"]["namespace"]
        made = self.api.operations.create(PODS, namespace, content, "kube-controller-manager")
        self.tell(owner, "SuccessfulCreate", f"Created pod: {made['metadata']['name']}", component="controller")

    def delete_pod(self, namespace: str, name: str, options: Object) -> bool:
        """Begin to end a pod; False where it should just go (no controllers, no grace)."""
        if not self._active or not self.terminating_steps or options.get("gracePeriodSeconds") == 0:
            return False
        content = self.api.operations.read(PODS, namespace, name)
        if "deletionTimestamp" not in content["metadata"]:
            content["metadata"] |= {"deletionTimestamp": now(), "deletionGracePeriodSeconds": 30}
            self._leaving[content["metadata"]["uid"]] = self.terminating_steps
            self.api.store.write(PODS, content)
            self.tell(content, "Killing", "Stopping container main")
        return True

    def end_pod(self, content: Object) -> None:
        about = content["metadata"]
        if not self.delete_pod(about["namespace"], about["name"], {}):
            self.api.operations.remove(PODS, content)

    def tell(
        self, about: Object, reason: str, message: str, *, kind: str = "Normal", component: str = "kubelet"
    ) -> None:
        """Write an event; one that is told again is counted."""
        content = event(about, reason, message, kind=kind, component=component)
        meta = content["metadata"]
        before = self.api.store.get(EVENTS, meta["namespace"], meta["name"])
        if before is not None:
            content["count"] = before.content.get("count", 1) + 1
            content["firstTimestamp"] = before.content["firstTimestamp"]
        self.api.store.write(EVENTS, content)

    def admit(self, verb: str, kind: Kind, content: Object) -> None:
        """Refuse a pod above the namespace's quota, as the ResourceQuota admission does."""
        namespace = content["metadata"].get("namespace", "")
        if verb == "CREATE" and kind == PODS and namespace in self.quota:
            used, most = len(self.api.store.all(PODS, namespace)), self.quota[namespace]
            if used >= most:
                name = content["metadata"]["name"]
                told = f"exceeded quota: pods, requested: pods=1, used: pods={used}, limited: pods={most}"
                raise Refusal(403, f'pods "{name}" is forbidden: {told}')

    def _live(self, content: Object) -> None:
        uid = content["metadata"]["uid"]
        if "deletionTimestamp" in content["metadata"]:
            left = self._leaving.get(uid, 0) - 1
            self._leaving[uid] = left
            if left <= 0 and not content["metadata"].get("finalizers"):
                del self._leaving[uid]
                self.api.operations.remove(PODS, content)
            elif left > 0:
                self.api.store.bump()
            return
        image = content["spec"]["containers"][0].get("image", "")
        pod_life.advance(self, content, self.images.get(image, "ok"))

    def _run(self, pace: float) -> None:
        while not self._stop.wait(pace):
            try:
                self.step()
            except Exception as error:  # noqa: BLE001 - told by `stop`, in the test's own thread
                self.error = error
                return
