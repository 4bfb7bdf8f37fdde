"""Logs of pods: all containers, runs before, restarts, broken connections, and workloads with pods that come later."""

from __future__ import annotations

import base64
import threading

import pytest

from devenv.backends.kube.cache import Cache
from devenv.backends.kube.kinds import PODS
from devenv.backends.kube.kubeconfig import Target
from devenv.backends.kube.logs import PodLogs
from devenv.backends.kube.look import environment_of
from devenv.backends.streams import Buffer
from devenv.core import masking
from devenv.core.masking import MASK, KnownValues
from fakes.api_server import ApiServer, pod, running
from tests.kube.watching import watching

Environ = dict[str, str]


def job(name: str) -> dict[str, object]:
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {}, "status": {}}


def test_a_pod_that_is_noticed_while_all_ends_opens_no_log(api: ApiServer, target: Target, environ: Environ) -> None:
    api.put(pod("web-1"))
    with watching(target, environ, kinds=(PODS,)) as seen:
        seen.until(lambda: seen.names() == {"web-1"})
        noticed, client = seen.named("pod", "web-1"), seen.backend.client
        for closed in (False, True):
            logs = PodLogs(client, Cache(target.backend, "minikube", print, print), Buffer())
            logs.follow((noticed.key,), 3)
            if closed:
                logs.close()
            logs.notice(noticed, exists=True)
            assert bool(logs.streams()) is not closed
            for stream in logs.close():
                stream.join(10)


def test_the_last_lines_and_what_comes_then(api: ApiServer, target: Target, environ: Environ) -> None:
    api.put(pod("web-1"))
    for number in range(20):
        api.logs.write("web-1", f"line {number}")
    with watching(target, environ, kinds=(PODS,)) as seen:
        seen.until(lambda: seen.names() == {"web-1"})
        seen.backend.follow_logs([seen.named("pod", "web-1").key], tail=3)
        seen.until(lambda: seen.texts() == ["line 17", "line 18", "line 19"])
        api.logs.write("web-1", "news \x1b[31mred")
        seen.until(lambda: seen.texts()[3:] == ["news red"])
        assert {line.key for line in seen.lines} == {seen.named("pod", "web-1").key}
        assert all(line.at for line in seen.lines)
        seen.backend.follow_logs([])
        seen.until(lambda: not any("kube-log" in thread.name for thread in threading.enumerate()))


def test_all_containers_with_their_names_and_one_alone(api: ApiServer, target: Target, environ: Environ) -> None:
    both = pod("web-1", container="web")
    both["spec"]["initContainers"] = [{"name": "migrate", "image": "web:1"}]
    done = {"exitCode": 0, "reason": "Completed", "finishedAt": "2026-01-31T12:00:00Z"}
    both["status"]["initContainerStatuses"] = [
        running("migrate", "web:1") | {"ready": True, "state": {"terminated": done}}
    ]
    api.put(both)
    api.logs.write("web-1", "tables are there", container="migrate")
    api.logs.end("web-1", container="migrate")
    api.logs.write("web-1", "listening", container="web")
    with watching(target, environ, kinds=(PODS,)) as seen:
        seen.until(lambda: seen.names() == {"web-1"})
        key = seen.named("pod", "web-1").key
        seen.backend.follow_logs([key])
        ended = "[migrate] container migrate ended: exit code 0"
        seen.until(lambda: set(seen.texts()) == {"[migrate] tables are there", ended, "[web] listening"})
        seen.lines.clear()
        seen.backend.follow_logs([f"{key}/web"])
        seen.until(lambda: seen.texts() == ["listening"])
        assert seen.lines[0].key == f"{key}/web"


def test_secrets_of_a_pods_environment_are_masked_in_its_lines(
    api: ApiServer, target: Target, environ: Environ, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(masking, "KNOWN", KnownValues())
    known = pod("web-1")
    known["spec"]["containers"][0] |= {
        "env": [
            {"name": "API_TOKEN", "value": "written-in-the-pod"},
            {"name": "PLACE", "valueFrom": {"secretKeyRef": {"name": "shop", "key": "place"}}},
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        ],
        "envFrom": [{"configMapRef": {"name": "settings"}, "prefix": "APP_"}, {"secretRef": {"name": "not-there"}}],
    }
    known["spec"]["volumes"] = [{"name": "tls", "secret": {"secretName": "mounted"}}]
    api.put(secret("shop", place="fr0m-a-secret"))
    api.put(secret("mounted", file="in-a-m0unted-file"))
    settings = {"PASSWORD": "in-a-c0nfig-map", "COLOR": "turquoise"}
    api.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": settings})
    api.put(known)
    api.logs.write("web-1", "written-in-the-pod fr0m-a-secret in-a-m0unted-file in-a-c0nfig-map turquoise")
    with watching(target, environ, kinds=(PODS,)) as seen:
        seen.until(lambda: seen.names() == {"web-1"})
        seen.backend.follow_logs([seen.named("pod", "web-1").key])
        seen.until(lambda: bool(seen.texts()))
        assert seen.texts() == [f"{MASK} {MASK} {MASK} {MASK} turquoise"]
        variables = environment_of(seen.backend.client, known)
        assert [item[1:] for item in variables] == [
            ("APP_PASSWORD", "in-a-c0nfig-map", "ConfigMap settings"),
            ("APP_COLOR", "turquoise", "ConfigMap settings"),
            ("API_TOKEN", "written-in-the-pod", ""),
            ("PLACE", "fr0m-a-secret", "Secret shop, place"),
            ("IP", None, "status.podIP"),
        ]


def secret(name: str, **data: str) -> dict[str, object]:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "Opaque", "data": encoded}


def test_a_restarted_container_goes_on_after_what_the_run_before_said(
    api: ApiServer, target: Target, environ: Environ
) -> None:
    api.put(pod("web-1"))
    api.logs.write("web-1", "first run")
    with watching(target, environ, kinds=(PODS,)) as seen:
        seen.until(lambda: seen.names() == {"web-1"})
        seen.backend.follow_logs([seen.named("pod", "web-1").key])
        seen.until(lambda: seen.texts() == ["first run"])
        api.stop()
        api.logs.write("web-1", "dying")
        api.logs.restart("web-1")
        again = running("main", "web:1", restarts=1) | {
            "lastState": {"terminated": {"exitCode": 3, "reason": "Error", "finishedAt": "2026-01-31T12:00:00Z"}}
        }
        api.change("pods", "web-1", {"status": {"containerStatuses": [again]}})
        api.logs.write("web-1", "second run")
        api.start()
        seen.until(lambda: "second run" in seen.texts())
        told = [text for text in seen.texts() if not text.startswith(("log interrupted", "log continues"))]
        assert told == ["first run", "dying", "container main ended: exit code 3; started again", "second run"]


def test_a_container_that_ends_and_starts_again_is_followed_on(
    api: ApiServer, target: Target, environ: Environ
) -> None:
    api.put(pod("web-1"))
    with watching(target, environ, kinds=(PODS,)) as seen:
        seen.until(lambda: seen.names() == {"web-1"})
        seen.backend.follow_logs([seen.named("pod", "web-1").key])
        api.logs.write("web-1", "one")
        seen.until(lambda: seen.texts() == ["one"])
        ended = {"exitCode": 137, "reason": "OOMKilled"}
        dead = running("main", "web:1") | {"state": {"terminated": ended}, "ready": False}
        api.change("pods", "web-1", {"status": {"containerStatuses": [dead]}})
        api.logs.end("web-1")
        seen.until(lambda: "container main ended: out of memory, exit code 137" in seen.texts())
        api.logs.restart("web-1")
        api.logs.write("web-1", "two")
        again = running("main", "web:1", restarts=1) | {"lastState": {"terminated": ended}}
        api.change("pods", "web-1", {"status": {"containerStatuses": [again]}})
        seen.until(lambda: "two" in seen.texts())
        assert seen.texts().count("one") == 1


def test_a_crash_loop_shows_the_run_that_crashed(api: ApiServer, target: Target, environ: Environ) -> None:
    looping = pod("web-1")
    looping["status"]["containerStatuses"] = [
        running("main", "web:1", restarts=4) | {"lastState": {"terminated": {"exitCode": 1, "reason": "Error"}}}
    ]
    api.put(looping)
    api.logs.write("web-1", "no database")
    api.logs.restart("web-1")
    api.logs.write("web-1", "trying")
    with watching(target, environ, kinds=(PODS,)) as seen:
        seen.until(lambda: seen.names() == {"web-1"})
        seen.backend.follow_logs([seen.named("pod", "web-1").key])
        seen.until(lambda: "trying" in seen.texts())
        assert seen.texts() == ["no database", "container main ended: exit code 1; started again", "trying"]


def test_a_broken_connection_neither_repeats_nor_loses_a_line(api: ApiServer, target: Target, environ: Environ) -> None:
    api.put(pod("web-1"))
    with watching(target, environ, kinds=(PODS,)) as seen:
        seen.until(lambda: seen.names() == {"web-1"})
        seen.backend.follow_logs([seen.named("pod", "web-1").key])
        for number in range(5):
            api.logs.write("web-1", f"before {number}")
        seen.until(lambda: "before 4" in seen.texts())
        api.stop()
        for number in range(5):
            api.logs.write("web-1", f"away {number}")
        api.start()
        seen.until(lambda: "away 4" in seen.texts())
        lines = [line.text for line in seen.lines if line.stream != "devenv"]
        assert lines == [*(f"before {n}" for n in range(5)), *(f"away {n}" for n in range(5))]


def test_a_workload_is_followed_with_the_pods_that_come_later(api: ApiServer, target: Target, environ: Environ) -> None:
    owner = api.put(job("load"))
    api.put(pod("load-1", owner=owner))
    api.logs.write("load-1", "one")
    api.logs.write("load-2", "two")
    with watching(target, environ) as seen:
        seen.until(lambda: seen.names() == {"load-1"} and seen.names("job") == {"load"})
        seen.backend.follow_logs([seen.named("job", "load").key])
        seen.until(lambda: "one" in seen.texts())
        api.put(pod("load-2", owner=owner))
        seen.until(lambda: "two" in seen.texts())
        assert {line.key for line in seen.lines} == {seen.named("pod", f"load-{n}").key for n in (1, 2)}
        api.delete("pods", "load-1")
        seen.until(lambda: "pod removed" in seen.texts())


def test_a_log_that_may_not_be_read_says_so(api: ApiServer, target: Target, environ: Environ) -> None:
    api.put(pod("web-1"))
    with watching(target, environ, kinds=(PODS,)) as seen:
        seen.until(lambda: seen.names() == {"web-1"})
        api.faults.forbidden = {"pods"}
        seen.backend.follow_logs([seen.named("pod", "web-1").key])
        seen.until(lambda: any("is forbidden" in text for text in seen.texts()))
