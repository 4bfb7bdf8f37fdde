"""An API server in this process: real HTTP on loopback, enough of Kubernetes to test a client, deploys and a terminal.

It is our own because kmock 0.8 has no pages, resource versions, bookmarks, apply, scale, or restart on the same port.

    with ApiServer() as api:                            # the fixture `api` in tests/kube/conftest.py
        environ = {"KUBECONFIG": str(api.kubeconfig(tmp_path / "config"))}     # context "minikube"
        api.put(pod("web-1"), deployment("web", "web:1", replicas=2))          # as they are, status included
        api.change("pods", "web-1", {"status": {"phase": "Failed"}})           # a merge patch, by the cluster
        api.delete("pods", "web-1")                     # at once, with what it owns
        api.get("deployments", "web"); api.objects("pods", "default")

Objects       pod, deployment, template, running, waiting, event, node_object, namespace_object, pod_metrics and
              owner_reference make samples; namespaces "default" and "kube-system" and the node "minikube" are there.
Requests      api.count("WATCH", "/pods"), api.requests, api.queries: what was asked, for budgets.
Faults        api.faults: token, forbidden, busy + retry_after, failing, slow, expire_pages, bookmark_every,
              hang() / flow() (half-open); api.store.compact() (410 for open and new watches);
              api.watches.cut("end" | "reset"), api.watches.count("pods"); api.stop() / start() / restart();
              api.new_cluster() (another cluster at the same address);
              api.operations.admission.append(f) with f(verb, kind, object) that raises Refusal(403, message).
Logs          api.logs.write("web-1", "line", container="main"), .end(), .restart(), .cut()
Own answers   api.on("POST", r"/api/v1/.../exec", answer) with answer(handler, path, body)
Discovery     api.served.add(Kind(...)), api.served.metrics = False, api.aggregated_discovery = False
Controllers   api.controllers: see controllers.py. Nothing moves by itself until they are started or stepped.
"""

from fakes.api_server.samples import (
    deployment,
    event,
    namespace_object,
    node_object,
    owner_reference,
    pod,
    pod_metrics,
    running,
    template,
    waiting,
)
from fakes.api_server.server import ApiServer
from fakes.api_server.status import Refusal

__all__ = [
    "ApiServer",
    "Refusal",
    "deployment",
    "event",
    "namespace_object",
    "node_object",
    "owner_reference",
    "pod",
    "pod_metrics",
    "running",
    "template",
    "waiting",
]
