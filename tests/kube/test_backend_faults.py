"""The API server away, replaced, half-forbidden or out of date: what is shown stays true, and says how old it is."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

from devenv.backends.kube.kubeconfig import Target
from fakes.api_server import ApiServer, pod
from tests.kube.watching import LIMIT, watching

Environ = dict[str, str]


def test_away_and_back(api: ApiServer, target: Target, environ: Environ) -> None:
    api.put(pod("web-1"), pod("web-2"))
    with watching(target, environ) as seen:
        seen.until(lambda: seen.names() == {"web-1", "web-2"})
        api.stop()
        seen.until(lambda: seen.state in ("stale", "retrying"))
        assert seen.names() == {"web-1", "web-2"}, "old data stay on screen"
        connection = seen.connection
        assert connection is not None
        assert connection.last_live is not None
        assert connection.retry_in is not None
        assert "127.0.0.1" in connection.message
        seen.until(lambda: seen.state == "retrying")
        api.delete("pods", "web-2")
        api.put(pod("web-3"))
        api.start()
        seen.until(lambda: seen.state == "live" and seen.names() == {"web-1", "web-3"})
        assert seen.message == ""
        assert seen.states()[-3:] == ["stale", "retrying", "live"]


def test_not_there_at_the_start_and_then_there(api: ApiServer, target: Target, environ: Environ) -> None:
    api.put(pod("web-1"))
    api.stop()
    with watching(target, environ, live=False) as seen:
        seen.until(lambda: seen.state == "failed")
        assert seen.connection is not None
        assert seen.connection.hint
        api.start()
        seen.until(lambda: seen.state == "live" and seen.names() == {"web-1"})


def test_a_new_cluster_at_the_same_address_leaves_nothing_of_the_old_one(
    api: ApiServer, target: Target, environ: Environ
) -> None:
    services = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "front"}, "spec": {}}
    api.put(pod("old-1"), pod("same"), services)
    with watching(target, environ) as seen:
        seen.until(lambda: seen.names() == {"old-1", "same"} and seen.names("service") == {"front"})
        old = {resource.key for resource in seen.store.resources.values()}
        api.new_cluster()
        api.put(pod("same"), pod("new-1"))
        seen.until(lambda: seen.state == "live" and seen.names() == {"same", "new-1"})
        seen.until(lambda: not seen.names("service") and seen.names("node") == {"minikube"})
        assert not old & {resource.key for resource in seen.store.resources.values()}
        assert "ClusterReplaced" in {item.action for item in seen.happenings()}


def test_what_is_forbidden_is_told_once_and_the_rest_works(api: ApiServer, target: Target, environ: Environ) -> None:
    api.faults.forbidden = {"nodes", "ingresses"}
    api.put(pod("web-1"))
    with watching(target, environ) as seen:
        seen.until(lambda: seen.names() == {"web-1"} and "nodes" in seen.message and "ingresses" in seen.message)
        assert seen.state == "live"
        assert seen.message == "this user may not list: nodes; this user may not list in default: ingresses"
        assert seen.connection is not None
        assert "kubectl auth can-i" in seen.connection.hint
        asked = api.count("GET", "/nodes")
        api.put(pod("web-2"))
        seen.until(lambda: "web-2" in seen.names())
        assert api.count("GET", "/nodes") == asked, "a refusal is not asked for again and again"


def test_where_everything_is_forbidden_it_failed(api: ApiServer, target: Target, environ: Environ) -> None:
    from devenv.backends.kube.backend import DEFAULT_KINDS

    api.faults.forbidden = {kind.plural for kind in DEFAULT_KINDS}
    with watching(target, environ, live=False) as seen:
        seen.until(lambda: seen.state == "failed")
        assert "this user may not list in default: cronjobs, daemonsets, deployments" in seen.message


def test_too_old_a_version_is_listed_anew(api: ApiServer, target: Target, environ: Environ) -> None:
    api.put(pod("web-1"), pod("web-2"))
    with watching(target, environ) as seen:
        seen.until(lambda: len(seen.names()) == 2)
        api.delete("pods", "web-1")
        api.store.compact()
        api.put(pod("web-3"))
        seen.until(lambda: seen.names() == {"web-2", "web-3"})
        assert set(seen.states()) <= {"connecting", "live"}


def test_rejected_credentials_are_told_and_new_ones_taken(
    api: ApiServer, kubeconfig: Path, target: Target, environ: Environ
) -> None:
    api.faults.token = "right"
    with watching(target, environ, live=False) as seen:
        seen.until(lambda: seen.state == "failed")
        told = json.loads(kubeconfig.read_text())
        told["users"][0]["user"] = {"token": "right"}
        kubeconfig.write_text(json.dumps(told))
        seen.until(lambda: seen.state == "live")


def test_a_changed_current_context_is_told_and_not_followed(
    api: ApiServer, kubeconfig: Path, target: Target, environ: Environ
) -> None:
    api.put(pod("web-1"))
    with watching(target, environ) as seen:
        seen.until(lambda: seen.names() == {"web-1"})
        told = json.loads(kubeconfig.read_text())
        told["contexts"].append(told["contexts"][0] | {"name": "prod"})
        kubeconfig.write_text(json.dumps(told | {"current-context": "prod"}))
        seen.until(lambda: "current context is prod now; devenv stays with minikube" in seen.message)
        assert seen.state == "live"
        assert seen.backend.name == "kubernetes/minikube"
        assert "ContextChanged" in {item.action for item in seen.happenings()}
        kubeconfig.write_text(json.dumps(told))
        seen.until(lambda: seen.message == "")


def test_stopping_ends_every_thread_though_the_server_hangs(api: ApiServer, target: Target, environ: Environ) -> None:
    api.put(pod("web-1"))
    with watching(target, environ) as seen:
        seen.until(lambda: seen.names() == {"web-1"})
        api.faults.hang()
    deadline = time.monotonic() + LIMIT
    while left := [thread.name for thread in threading.enumerate() if thread.name.startswith("kube-")]:
        assert time.monotonic() < deadline, left
        time.sleep(0.01)
    api.faults.flow()
