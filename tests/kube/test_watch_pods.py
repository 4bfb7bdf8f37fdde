"""`devenv watch --target kubernetes`: what is saved is in the pods of the workload of that name; at the wire."""

from __future__ import annotations

import json
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from devenv.backends.inside import CommandFailed
from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import KubeError
from devenv.backends.kube.kinds import PODS
from devenv.control.audit import AuditLog
from devenv.control.guard import Guard
from devenv.core.errors import ProjectError, ServiceFailed
from devenv.watch.pods import PodDriver, without_restarts
from devenv.watch.report import Report
from devenv.watch.rules import ServiceRules, read_rules
from devenv.watch.session import Session, WatchOptions
from fakes.api_server import ApiServer, deployment, pod
from tests.kube.kubelet import Exec


class Cluster:
    """A deployment whose pod's folder `/srv` stands for is one of this machine."""

    def __init__(self, api: ApiServer, client: KubeClient, folder: Path) -> None:
        self.api, self.client = api, client
        self.kubelet = Exec()
        api.on("GET", r"/api/v1/namespaces/[^/]+/pods/[^/]+/exec", self.kubelet.answer)
        self.src, self.inside = folder / "src", folder / "inside"
        for made in (self.src, self.inside):
            made.mkdir()
        self.audit = folder / "audit.jsonl"
        self.driver = PodDriver(client, Guard(AuditLog(self.audit)), {"web": "shop-web"})
        api.put(deployment("shop-web"))

    def put_pod(self, name: str = "shop-web-1", run: int = 1, **spec: Any) -> None:
        made = pod(name, labels={"app": "shop-web"}, container="web")
        made["spec"]["containers"][0] |= spec
        made["spec"]["containers"].insert(0, {"name": "proxy", "image": "proxy:1"})
        ours = made["status"]["containerStatuses"][0]
        ours["containerID"] = f"containerd://{run}"
        made["status"]["containerStatuses"].insert(0, {**ours, "name": "proxy", "containerID": "containerd://p"})
        self.api.put(made)

    def rules(self, *more: dict[str, Any]) -> tuple[ServiceRules, ...]:
        entries = [{"action": "sync", "path": str(self.src), "target": str(self.inside / "app")}, *more]
        return read_rules({"services": {"web": {"develop": {"watch": entries}}}})[0]

    @contextmanager
    def watching(self, *more: dict[str, Any], wait: bool = False) -> Iterator[Callable[[str], Report]]:
        """Watch, and give what waits for an event."""
        told: queue.SimpleQueue[Report] = queue.SimpleQueue()
        with Session(self.rules(*more), self.driver, WatchOptions(wait=wait)) as session:
            reader = threading.Thread(target=lambda: [told.put(report) for report in session.reports()])
            reader.start()

            def event(name: str) -> Report:
                seen = []
                deadline = time.monotonic() + 30
                while time.monotonic() < deadline:
                    try:
                        seen.append(told.get(timeout=0.2))
                    except queue.Empty:
                        continue
                    if seen[-1].event == name:
                        return seen[-1]
                raise AssertionError(seen)

            try:
                yield event
            finally:
                session.stop()
                reader.join(10)


@pytest.fixture
def cluster(api: ApiServer, client: KubeClient, tmp_path: Path) -> Cluster:
    return Cluster(api, client, tmp_path)


def test_saved_moved_and_deleted_files_are_so_in_the_container_of_the_services_name(cluster: Cluster) -> None:
    cluster.put_pod()
    with cluster.watching() as event:
        event("ready")
        (cluster.src / "deep").mkdir()
        (cluster.src / "deep" / "ü.py").write_text("first")
        (cluster.src / "deep" / "ü.py").chmod(0o750)
        os.utime(cluster.src / "deep" / "ü.py", (1.25, 1.25))
        (cluster.src / "link").symlink_to("deep/ü.py")
        report = event("synced")
        (key,) = report.keys
        assert key.startswith("kubernetes:")
        file = cluster.inside / "app" / "deep" / "ü.py"
        assert (file.read_text(), file.stat().st_mode & 0o777, file.stat().st_mtime) == ("first", 0o750, 1.25)
        assert (cluster.inside / "app" / "link").readlink() == Path("deep/ü.py")
        (cluster.src / "deep" / "ü.py").rename(cluster.src / "new.py")
        event("synced")
        assert not file.exists()
        assert (cluster.inside / "app" / "new.py").read_text() == "first"
    assert {place[:2] for place in cluster.kubelet.commands} == {("shop-web-1", "web")}
    records = [json.loads(line) for line in cluster.audit.read_text().splitlines()]
    assert {(item["verb"], item.get("result")) for item in records} == {("sync", None), ("sync", "done")}
    assert records[0]["targets"] == ["pods/default/shop-web"]


def test_a_container_that_begins_again_gets_all_that_was_synced(cluster: Cluster) -> None:
    cluster.put_pod()
    with cluster.watching() as event:
        event("ready")
        (cluster.src / "a.py").write_text("saved")
        event("synced")
        copy = cluster.inside / "app" / "a.py"
        copy.unlink()  # as a new container has it
        cluster.put_pod(run=2)
        event("attached")
        assert copy.read_text() == "saved"


def test_a_pod_that_is_deleted_while_it_is_written_to_is_followed_by_the_one_that_replaces_it(cluster: Cluster) -> None:
    cluster.put_pod()
    with cluster.watching() as event:
        event("ready")
        (cluster.src / "a.py").write_text("before")
        event("synced")
        copy = cluster.inside / "app" / "a.py"
        cluster.api.delete(PODS, "shop-web-1")
        copy.unlink()  # the replacement has what is in its image
        (cluster.src / "b.py").write_text("saved while there was no pod")
        event("held")
        cluster.put_pod("shop-web-2")
        event("attached")
        assert copy.read_text() == "before"
        assert copy.with_name("b.py").read_text() == "saved while there was no pod"
        (cluster.src / "a.py").write_text("after")
        event("synced")
        assert copy.read_text() == "after"
    assert cluster.kubelet.commands[-1][0] == "shop-web-2"


def test_without_a_pod_it_ends_or_waits(cluster: Cluster) -> None:
    with pytest.raises(ServiceFailed) as caught, cluster.watching():
        pass
    assert "devenv deploy" in caught.value.hint
    with cluster.watching(wait=True) as event:
        event("held")
        (cluster.src / "early.py").write_text("early")
        event("held")
        cluster.put_pod()
        event("attached")
        assert (cluster.inside / "app" / "early.py").read_text() == "early"
    cluster.driver = PodDriver(cluster.client, cluster.driver.guard, {})
    with pytest.raises(KubeError, match="no workload web"), cluster.watching():
        pass


def test_a_failure_is_told_and_the_next_save_tries_again(cluster: Cluster) -> None:
    cluster.put_pod()
    with cluster.watching() as event:
        event("ready")
        blocked = cluster.inside / "app"
        blocked.write_text("a file where the folder should be")
        (cluster.src / "a.py").write_text("1")
        failed = event("failed")
        assert "shop-web-1: sh -c" in failed.text
        assert failed.hint == "The next save tries again."
        blocked.unlink()
        (cluster.src / "b.py").write_text("2")
        event("synced")
        assert [item.name for item in sorted(blocked.iterdir())] == ["a.py", "b.py"]


def test_what_cannot_be_written_is_said_before_the_first_save(cluster: Cluster) -> None:
    cluster.put_pod(securityContext={"readOnlyRootFilesystem": True})
    with cluster.watching() as event:
        assert "the root file system is read-only" in event("warning").text


def test_a_command_runs_as_the_containers_user_alone(cluster: Cluster) -> None:
    cluster.put_pod()
    hook = {"command": ["sh", "-c", f'echo "$WORD in $PWD" > {cluster.inside}/ran'], "environment": {"WORD": "hello"}}
    other = {"action": "sync+exec", "path": str(cluster.src / "x.ini"), "target": str(cluster.inside / "x.ini")}
    (cluster.src / "x.ini").write_text("1")
    with cluster.watching({**other, "exec": {**hook, "working_dir": str(cluster.src)}}) as event:
        event("ready")
        (cluster.src / "x.ini").write_text("2")
        assert "executed" in event("synced").steps
        assert (cluster.inside / "ran").read_text() == f"hello in {cluster.src}\n"
    containers = cluster.driver.containers()
    (resource,) = containers.of_service("web")
    with pytest.raises(CommandFailed, match="as the container's user"):
        containers.run(resource.container_id, ["true"], user="0:0")


def test_rules_that_restart_or_build_are_left_out_and_that_is_told(cluster: Cluster) -> None:
    rules, remarks = without_restarts(cluster.rules({"action": "rebuild", "path": str(cluster.inside)}))
    assert [str(rule.action) for rule in rules[0].rules] == ["sync"]
    assert remarks == [f"web: rebuild of {cluster.inside} is left out: a pod that restarts begins with its image"]
    with pytest.raises(ProjectError, match="No service has a rule"):
        without_restarts([rules[0].only([])])
