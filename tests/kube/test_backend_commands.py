"""`devenv kube contexts | events | logs`, run as a user would, against an API server on loopback."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from devenv.cli.kube_status import read_cluster
from devenv.core.kube_settings import KubeSettings
from fakes.api_server import ApiServer, deployment, event, namespace_object, pod, running, waiting
from tests import forked

Environ = dict[str, str]
Run = Callable[..., subprocess.CompletedProcess[str]]
LIMIT = 60


@pytest.fixture
def line(environ: Environ, tmp_path: Path) -> list[str]:
    (tmp_path / "work").mkdir()
    return [sys.executable, "-m", "devenv", "kube"]


@pytest.fixture
def kube(line: list[str], environ: Environ, tmp_path: Path) -> Run:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return forked.run(*line[2:], *words, env=environ, cwd=tmp_path / "work")

    return run


def broken(name: str) -> dict[str, object]:
    made = pod(name)
    made["status"]["phase"] = "Pending"
    made["status"]["conditions"] = []
    made["status"]["containerStatuses"] = [waiting("main", "web:2", "ErrImagePull", "no such tag")]
    return made


def test_contexts(kube: Run, api: ApiServer) -> None:
    done = kube("contexts", "--json")
    assert done.returncode == 0, done.stderr
    [context] = json.loads(done.stdout)["contexts"]
    assert context["context"] == "minikube"
    assert context["server"] == api.url
    assert context["may_change"] is True
    assert "minikube" in kube("contexts").stdout


def test_where_no_cluster_answers_and_what_may_not_be_read_have_their_exit_codes(kube: Run, api: ApiServer) -> None:
    api.faults.forbidden = {"events"}
    assert kube("events").returncode == 4
    api.stop()
    assert kube("events").returncode == 13


def test_events_of_one_object(kube: Run, api: ApiServer) -> None:
    first, second = api.put(pod("web-1")), api.put(pod("web-2"))
    bad = event(first, "BackOff", "Back-off restarting", kind="Warning") | {"lastTimestamp": "2099-01-31T12:00:00Z"}
    api.put(event(first, "Pulled", "image is there"), bad, event(second, "Pulled", "another"))
    done = kube("events", "pod/web-1", "--json")
    assert [json.loads(line)["reason"] for line in done.stdout.splitlines()] == ["Pulled", "BackOff"]
    assert len(kube("events", "--warnings", "--json").stdout.splitlines()) == 1
    assert len(kube("events").stdout.splitlines()) == 4
    assert kube("events", "--for", "pod/web-1", "--json").stdout == done.stdout
    assert kube("events", "--for=pod/web-1", "-A", "--json").stdout == done.stdout
    assert kube("events", "--for=pod/web-1", "-n", "other", "--json").stdout == ""
    assert kube("events", "--for=pod/web-1", "pod/web-1").returncode == 2


def test_logs_of_all_pods_of_a_workload_in_the_order_of_time(kube: Run, api: ApiServer) -> None:
    api.put(deployment("web"), pod("web-1", labels={"app": "web"}), pod("web-2", labels={"app": "web"}))
    api.logs.write("web-1", "one", at=1_700_000_001_000_000_000)
    api.logs.write("web-2", "two", at=1_700_000_002_000_000_000)
    api.logs.write("web-1", "three", at=1_700_000_003_000_000_000)
    done = kube("logs", "deployment/web")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["web-1 | one", "web-2 | two", "web-1 | three"]
    assert kube("logs", "web-1", "--tail", "1", "-t", "-n", "default").stdout == "2023-11-14T22:13:23.000+00:00 three\n"


def test_logs_of_a_container_that_is_not_there(kube: Run, api: ApiServer) -> None:
    api.put(pod("web-1"))
    done = kube("logs", "web-1", "-c", "nobody")
    assert done.returncode == 1
    assert "It has main." in done.stderr


def test_logs_that_cannot_be_read_are_no_success(kube: Run, api: ApiServer) -> None:
    api.put(broken("web-1"), deployment("web"), deployment("api"), pod("api-1", labels={"app": "api"}))
    api.logs.write("api-1", "hello")
    none, without = kube("logs", "web-1"), kube("logs", "deployment/web")
    assert (none.returncode, none.stdout) == (1, "")
    assert "waiting to start" in none.stderr
    assert (without.returncode, without.stdout) == (1, "")
    assert "has no pods" in without.stderr
    assert kube("logs", "api-1", "--previous").returncode == 1
    assert kube("logs", "api-1").returncode == 0
    gated = pod("gated")
    del gated["spec"]["nodeName"]
    api.put(gated)
    nowhere = kube("logs", "gated")
    assert (nowhere.returncode, nowhere.stdout) == (1, "")
    assert "pod gated is on no node yet: it has no log" in nowhere.stderr


def test_a_namespace_that_is_not_there_or_is_going_says_so(kube: Run, api: ApiServer) -> None:
    done = kube("events", "--namespace", "nowhere")
    assert (done.returncode, done.stdout) == (1, "")
    assert "There is no namespace 'nowhere' in minikube" in done.stderr
    going = namespace_object("going")
    left = "Some resources are remaining: pods. has 1 resource instances"
    going["status"] = {
        "phase": "Terminating",
        "conditions": [
            {"type": "NamespaceContentRemaining", "status": "True", "message": left},
            {"type": "NamespaceDeletionDiscoveryFailure", "status": "False", "message": "fine"},
        ],
    }
    api.put(going)
    done = kube("events", "--namespace", "going")
    assert done.returncode == 0
    assert f"the namespace going is being deleted: {left}" in done.stderr
    for words in (("web-1",), ("-l", "app=web")):
        done = kube("logs", *words, "--namespace", "going")
        assert done.returncode == 1
        assert f"the namespace going is being deleted: {left}" in done.stderr
        done = kube("logs", *words, "--namespace", "nowhere")
        assert done.returncode == 1
        assert "There is no namespace 'nowhere' in minikube" in done.stderr


def test_logs_of_all_pods_with_a_label_and_of_a_workload_chosen_by_expressions(kube: Run, api: ApiServer) -> None:
    chosen = deployment("api")
    chosen["spec"]["selector"] = {"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "api"]}]}
    pods = [pod(f"{name}-1", labels={"app": name, "tier": "front"}) for name in ("web", "api", "db")]
    api.put(chosen, *pods)
    for at, name in enumerate(("web-1", "api-1", "db-1"), start=1):
        api.logs.write(name, "hello", at=1_700_000_000_000_000_000 + at * 1_000_000_000)
    done = kube("logs", "-l", "tier=front,app!=db")
    assert done.stdout.splitlines() == ["web-1 | hello", "api-1 | hello"], done.stderr
    assert kube("logs", "deployment/api").stdout == done.stdout
    assert kube("logs", "--selector", "app in (db)").stdout == "hello\n"
    for words, code, said in (
        (("-l", "app=nobody"), 1, "No pod in namespace default matches app=nobody"),
        (("-l", "app=web", "web-1"), 2, "Name objects, or a selector"),
        ((), 2, "Name objects, or a selector"),
    ):
        done = kube("logs", *words)
        assert (done.returncode, done.stdout) == (code, "")
        assert said in done.stderr


def test_logs_since_a_time_are_all_of_it_unless_a_number_is_named(kube: Run, api: ApiServer) -> None:
    api.put(pod("web-1"))
    now = time.time_ns()
    for age in (7200, 3000, *range(600, 0, -1)):
        api.logs.write("web-1", f"{age} s ago", at=now - age * 1_000_000_000)
    lines = kube("logs", "web-1", "--since", "1h").stdout.splitlines()
    assert (len(lines), lines[0]) == (601, "3000 s ago")
    assert len(kube("logs", "web-1", "--since=1m30s").stdout.splitlines()) in range(60, 91)
    assert kube("logs", "web-1", "--since", "1h", "--tail", "1").stdout == "1 s ago\n"
    assert len(kube("logs", "web-1").stdout.splitlines()) == 500
    assert len(kube("logs", "web-1", "--tail", "-1").stdout.splitlines()) == 602
    done = kube("logs", "web-1", "--since", "90")
    assert done.returncode == 2
    assert "'90' is not a time like 90s, 5m or 1h30m" in done.stderr


def test_logs_have_the_filters_of_compose_and_several_objects(kube: Run, api: ApiServer) -> None:
    api.put(deployment("web"), *(pod(f"{name}-1", labels={"app": name}) for name in ("web", "api", "db")))
    for at, (name, text) in enumerate((("web", "level=error msg=a"), ("api", "INFO b"), ("db", "WARN c"))):
        api.logs.write(f"{name}-1", text, at=1_700_000_000_000_000_000 + at * 1_000_000_000)
    everything = ["web-1 | level=error msg=a", "api-1 | INFO b", "db-1 | WARN c"]
    assert kube("logs", "--all").stdout.splitlines() == everything
    assert kube("logs", "deployment/web", "api-1", "web-1").stdout.splitlines() == everything[:2]
    assert kube("logs", "--all", "--level", "warn").stdout.splitlines() == [everything[0], everything[2]]
    assert kube("logs", "--all", "--grep", "!INFO", "--grep", "!msg=a").stdout.splitlines() == [everything[2]]
    assert kube("logs", "--all", "--until", "2023-11-14T22:13:21Z").stdout.splitlines() == everything[:2]
    (line,) = map(json.loads, kube("logs", "web-1", "--json").stdout.splitlines())
    assert (line["level"], line["fields"]["msg"], line["at"]) == ("error", "a", "2023-11-14T22:13:20.000000+00:00")
    assert kube("logs", "web-1", "--all").returncode == 2
    assert kube("logs", "web-1", "--previous", "--follow").returncode == 2


def test_logs_of_the_run_before(kube: Run, api: ApiServer) -> None:
    again = pod("web-1")
    again["status"]["containerStatuses"] = [running("main", "web:1", restarts=1)]
    api.put(again)
    api.logs.write("web-1", "last words", previous=True)
    done = kube("logs", "web-1", "-p")
    assert done.stdout == "last words\n", done.stderr


def test_followed_logs_go_on_until_ctrl_c(line: list[str], environ: Environ, api: ApiServer, tmp_path: Path) -> None:
    api.put(pod("web-1"))
    api.logs.write("web-1", "one")
    process = subprocess.Popen(
        [*line, "logs", "web-1", "-f"],
        env=environ,
        cwd=tmp_path / "work",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "one\n"
        api.logs.write("web-1", "two")
        assert process.stdout.readline() == "two\n"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=LIMIT)
        assert process.returncode == 130
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("words", [("-l", "app=web"), ("deployment/web", "-c", "main")])
def test_followed_logs_by_label_begin_at_a_time_and_include_pods_that_come_later(
    line: list[str], environ: Environ, api: ApiServer, tmp_path: Path, words: tuple[str, ...]
) -> None:
    api.put(deployment("web"), pod("web-1", labels={"app": "web"}), pod("db-1", labels={"app": "db"}))
    api.logs.write("web-1", "old", at=time.time_ns() - 600_000_000_000)
    api.logs.write("web-1", "new")
    api.logs.write("db-1", "of another")
    process = subprocess.Popen(
        [*line, "logs", "-f", "--since", "5m", *words],
        env=environ,
        cwd=tmp_path / "work",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "web-1 | new\n"
        api.put(pod("web-2", labels={"app": "web"}))
        api.logs.write("web-2", "later")
        assert process.stdout.readline() == "web-2 | later\n"
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=LIMIT)
        assert (process.returncode, rest) == (130, "")
    finally:
        process.kill()
        process.communicate()


def test_the_cluster_is_a_part_of_the_status_where_it_is_configured(api: ApiServer, environ: Environ) -> None:
    api.put(deployment("web"), pod("web-1"), broken("web-2"))
    assert read_cluster(KubeSettings(), environ) is None
    part = read_cluster(KubeSettings(context="minikube"), environ)
    assert part is not None
    told = json.loads(json.dumps(part.json()))
    assert (told["context"], told["reachable"]) == ("minikube", True)
    assert [item["name"] for item in told["workloads"]] == ["web"]
    assert [item["health"] for item in told["pods"]] == ["healthy", "unhealthy"]
    assert told["pods"][1]["ready"] == {"ready": 0, "wanted": 1}
    assert any("web-1" in line for line in part.lines(0.0))
    assert any("main: its image cannot be pulled (ErrImagePull): no such tag" in line for line in part.lines(0.0))


def test_a_part_of_the_status_that_may_not_be_read_is_a_remark(api: ApiServer, environ: Environ) -> None:
    api.put(deployment("web"))
    api.faults.forbidden = {"events", "horizontalpodautoscalers"}
    part = read_cluster(KubeSettings(context="minikube"), environ)
    assert part is not None
    assert [item.name for item in part.workloads] == ["web"]
    assert any("events is forbidden" in text for text in part.remarks)


def test_a_cluster_that_is_away_does_not_fail_the_status(api: ApiServer, environ: Environ) -> None:
    api.stop()
    part = read_cluster(KubeSettings(context="minikube"), environ)
    assert part is not None
    assert part.json()["reachable"] is False
    assert "127.0.0.1" in part.lines(0.0)[1]
