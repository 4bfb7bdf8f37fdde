"""The guard before a cluster: the allow-list, what is written down, and a context that leads somewhere else now."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from devenv.backends.kube.client import KubeClient
from devenv.control.audit import AuditLog
from devenv.control.guard import ClusterIdentity, Guard
from devenv.control.kube.change import cluster_identity
from devenv.control.kube.control import KubeControl
from devenv.core.errors import Refused
from devenv.core.kube_settings import KubeSettings
from devenv.core.model import Action, Phase, Progress
from fakes.api_server import ApiServer, deployment


@pytest.fixture
def audit(tmp_path: Path) -> AuditLog:
    return AuditLog(tmp_path / "audit.jsonl")


def records(audit: AuditLog) -> list[dict[str, object]]:
    return [json.loads(line) for line in audit.path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(
    ("context", "allow", "passes"),
    [
        ("minikube", (), True),
        ("kind-ci", (), True),
        ("k3d-a", (), True),
        ("docker-desktop", (), True),
        ("production", (), False),
        ("minikube-production", (), False),
        ("team-a", ("team-*",), True),
        ("Team-a", ("team-*",), False),
    ],
)
def test_only_contexts_on_the_list_are_changed(
    audit: AuditLog, context: str, allow: tuple[str, ...], passes: bool
) -> None:
    guard = Guard(audit, kubernetes=KubeSettings(allow=allow))
    place = ClusterIdentity(context, "docsearch", "https://x")
    plan = guard.plan_cluster("delete", ("pod/docsearch/web",), place)
    assert plan.allowed is passes
    if passes:
        guard.finish(guard.begin(plan, now=place))
    else:
        assert f'allow = ["{context}"]' in plan.hint
        with pytest.raises(Refused, match="not on the list"):
            guard.begin(plan, now=place)
    written = records(audit)
    assert [record["event"] for record in written] == (["allowed", "finished"] if passes else ["refused"])
    assert (written[0]["context"], written[0]["namespace"], written[0]["cluster"]) == (
        context,
        "docsearch",
        "https://x",
    )


def test_read_only_refuses_an_allowed_context_too(audit: AuditLog) -> None:
    guard = Guard(audit, read_only=True)
    plan = guard.plan_cluster("scale", ("deployment/a/web",), ClusterIdentity("minikube", "a", "https://x"))
    with pytest.raises(Refused, match="read-only"):
        guard.begin(plan)


def test_a_plan_that_was_made_allowed_is_judged_again_when_it_begins(audit: AuditLog) -> None:
    strict, loose = Guard(audit), Guard(audit, kubernetes=KubeSettings(allow=("prod",)))
    plan = loose.plan_cluster("delete", ("pod/a/b",), ClusterIdentity("prod", "a", "https://x"))
    assert plan.allowed
    with pytest.raises(Refused, match="not on the list"):
        strict.begin(plan)


def test_a_context_that_leads_to_another_server_is_noticed(
    api: ApiServer, client: KubeClient, kubeconfig: Path, audit: AuditLog
) -> None:
    api.put(deployment("web"))
    control = KubeControl(lambda: client, Guard(audit))
    plan = control.plan("restart", ("deployment/default/web",))
    with ApiServer() as other:
        other.put(deployment("web"))
        moved = kubeconfig.read_text(encoding="utf-8").replace(str(api.port), str(other.port))
        kubeconfig.write_text(moved, encoding="utf-8")
        with pytest.raises(Refused, match="now leads to another cluster"):
            control.request(plan)
        assert other.count("PATCH") == 0
    assert records(audit)[-1]["event"] == "refused"


def test_a_cluster_made_anew_at_the_same_address_is_noticed(
    api: ApiServer, make_client: Callable[..., KubeClient], audit: AuditLog
) -> None:
    client = make_client()
    api.put(deployment("web"))
    control = KubeControl(lambda: client, Guard(audit))
    plan = control.survey("restart", ("deployment/default/web",))
    api.new_cluster()
    api.put(deployment("web"))
    client._known = None  # believed for two seconds only: the time is not waited for here
    control.request(plan)
    end = until_ended(control)
    assert (end.phase, "created again" in end.detail) == (Phase.FAILED, True)
    assert api.count("PATCH") == 0


def test_the_terminal_gets_the_life_of_a_change_as_records(api: ApiServer, client: KubeClient, audit: AuditLog) -> None:
    api.put(deployment("web"))
    woken = threading.Event()
    control = KubeControl(lambda: client, Guard(audit, source="tui"))
    control.start(woken.set)
    plan = control.survey("scale", ("kubernetes:deployment/default/web",), {"replicas": "3"})
    assert plan.sentences == ("Scales deployment/web from 1 to 3 replicas.",)
    assert plan.targets == ("kubernetes:deployment/default/web",)
    control.request(plan)
    seen: list[object] = []
    end = until_ended(control, seen)
    assert woken.is_set()
    assert end.phase is Phase.DONE
    assert [item.phase for item in seen if isinstance(item, Action)] == [Phase.REQUESTED, Phase.RUNNING, Phase.DONE]
    assert any(isinstance(item, Progress) and item.details == "1 -> 3" for item in seen)
    found = api.get("deployments", "web")
    assert found is not None
    assert found["spec"]["replicas"] == 3
    assert [(record["event"], record.get("source", "tui")) for record in records(audit)] == [
        ("allowed", "tui"),
        ("finished", "tui"),
    ]


def test_one_object_is_not_changed_twice_at_a_time(api: ApiServer, client: KubeClient, audit: AuditLog) -> None:
    api.put(deployment("web"), deployment("other"))
    control = KubeControl(lambda: client, Guard(audit))
    api.change("deployments", "web", {"metadata": {"finalizers": ["example.com/hold"]}})
    control.request(control.survey("delete", ("deployment/default/web",)))
    with pytest.raises(Refused, match="delete is still running"):
        control.request(control.plan("restart", ("deployment/default/web",)))
    control.request(control.plan("restart", ("deployment/default/other",)))
    control.stop()
    ended = [item for item in drained(control) if isinstance(item, Action) and item.phase in (Phase.DONE, Phase.FAILED)]
    assert {item.verb: item.phase for item in ended} == {"restart": Phase.DONE, "delete": Phase.FAILED}
    assert "held by example.com/hold" in next(item.detail for item in ended if item.verb == "delete")


def test_the_place_names_server_and_authority(client: KubeClient, api: ApiServer) -> None:
    place = cluster_identity(client, ask=True)
    assert (place.context, place.namespace) == ("minikube", "default")
    assert str(api.port) in place.cluster
    assert place.cluster_uid == client.identity()


def drained(control: KubeControl) -> list[object]:
    return list(control.drain())


def until_ended(control: KubeControl, seen: list[object] | None = None) -> Action:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for item in control.drain():
            if seen is not None:
                seen.append(item)
            if isinstance(item, Action) and item.phase in (Phase.DONE, Phase.FAILED):
                return item
        threading.Event().wait(0.01)
    raise AssertionError("the action did not end")
