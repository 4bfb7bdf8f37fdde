"""READY, STATUS and RESTARTS of pods are kubectl's: the cases of its own tests and states that a node showed.

A container is written as words: its name (`+` before it: a sidecar; `?`: in the status alone), then `ready`,
`started` or `unstarted`, its state (`runs`, `waits:REASON`, `ends:CODE:REASON:SIGNAL`; none: nothing is known yet),
and `xN@S`: N restarts, the newest S seconds ago.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from devenv.backends.kube.parse import parse
from devenv.core.text import human_restarts

NOW = 1_800_000_000.0
READY = ["Ready=True"]
INITIALIZED = ["Initialized=True"]


def container(words: str) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """Return the container as the spec and as the status have it."""
    name, *rest = words.split()
    declared: dict[str, Any] = {"name": name.lstrip("+?")}
    if name.startswith("+"):
        declared["restartPolicy"] = "Always"
    status: dict[str, Any] = {"name": declared["name"], "ready": False, "restartCount": 0, "state": {}}
    for word in rest:
        kind, _, detail = word.partition(":")
        if word == "ready":
            status["ready"] = True
        elif word in ("started", "unstarted"):
            status["started"] = word == "started"
        elif word == "runs":
            status["state"] = {"running": {"startedAt": "2026-11-01T00:00:00Z"}}
        elif kind == "waits":
            status["state"] = {"waiting": {"reason": detail} if detail else {}}
        elif kind == "ends":
            code, reason, signal = (*detail.split(":"), "", "")[:3]
            ended = {"exitCode": int(code or 0), "reason": reason, "signal": int(signal or 0)}
            status["state"] = {"terminated": ended}
        else:
            count, _, ago = word.removeprefix("x").partition("@")
            status["restartCount"] = int(count)
            if ago:
                at = datetime.fromtimestamp(NOW - float(ago), UTC).isoformat()
                status["lastState"] = {"terminated": {"exitCode": 1, "finishedAt": at}}
    return None if name.startswith("?") else declared, status


def pod(
    phase: str, mains: list[str], inits: list[str], told: list[str], reason: str = "", *, deleted: bool = False
) -> dict[str, Any]:
    """Return a pod; conditions are TYPE=STATUS or TYPE=STATUS:REASON."""
    main, init = [container(words) for words in mains], [container(words) for words in inits]
    conditions = []
    for item in told:
        kind, _, rest = item.partition("=")
        status, _, why = rest.partition(":")
        conditions.append({"type": kind, "status": status, "reason": why})
    return {
        "metadata": {"name": "p", "uid": "u"} | ({"deletionTimestamp": "2026-11-01T00:00:00Z"} if deleted else {}),
        "spec": {
            "containers": [item for item, _ in main if item],
            "initContainers": [item for item, _ in init if item],
        },
        "status": {
            "phase": phase,
            "reason": reason,
            "conditions": conditions,
            "containerStatuses": [item for _, item in main],
            "initContainerStatuses": [item for _, item in init],
        },
    }


def printed(raw: dict[str, Any]) -> str:
    found = parse(raw, "Pod", "minikube").resource
    assert found.ready is not None
    since = None if found.restarted_at is None else NOW - found.restarted_at
    return f"{found.ready[0]}/{found.ready[1]} {found.status} {human_restarts(found.restarts, since)}"


@pytest.mark.parametrize(
    ("phase", "mains", "told", "row"),
    [
        ("Odd", ["a ready runs x3", "b x3"], [], "1/2 Odd 6"),
        ("Odd", ["a ready runs x3", "b waits:Held x3"], [], "1/2 Held 6"),
        ("Odd", ["a waits:Held x3", "b ends:0:Broke x3"], [], "0/2 Held 6"),
        ("Odd", ["a ready runs x3", "b ready x3"], [], "1/2 Odd 6"),
        ("Running", ["a ready ends:0:Completed x3", "b ready runs x3"], [], "1/2 NotReady 6"),
        ("Running", ["a ready ends:0:Completed x3", "b ready runs x3"], READY, "1/2 Running 6"),
        ("Running", ["a ready runs x3@432000"], [], "1/1 Running 3 (5d ago)"),
        ("Running", ["a ready runs", "b ready runs x3@864000"], [], "2/2 Running 3 (10d ago)"),
        ("Running", ["a ready runs x6@432000", "b ready runs x3@1728000"], [], "2/2 Running 9 (5d ago)"),
        ("Running", ["a runs"], [], "0/1 Running 0"),
        ("Running", ["a ready runs", "b waits:CrashLoopBackOff x5@300"], [], "1/2 CrashLoopBackOff 5 (5m ago)"),
        ("Running", ["a ready runs", "b ends:1:Error"], [], "1/2 Error 0"),
        ("Running", ["a ends:137:OOMKilled x2@61"], [], "0/1 OOMKilled 2 (1m ago)"),
        ("Running", ["a ends:0::9"], [], "0/1 Signal:9 0"),
        ("Failed", ["a ends:7"], [], "0/1 ExitCode:7 0"),
        ("Succeeded", ["a ends:0:Completed"], [], "0/1 Completed 0"),
        ("Failed", ["a ends:1:Error"], [], "0/1 Error 0"),
        ("Failed", ["a ends:1:podCrash", "b ready runs"], [], "1/2 podCrash 0"),
        ("Failed", ["a ready runs", "b ends:1:podCrash"], [], "1/2 podCrash 0"),
        ("Failed", ["a ready runs", "b ready ends:1:podCrash", "c ready ends:0"], [], "1/3 podCrash 0"),
        ("Failed", ["a runs", "b ends:1:podCrash", "c ends:0"], [], "0/3 podCrash 0"),
        ("Pending", ["a waits:ContainerCreating"], [], "0/1 ContainerCreating 0"),
        ("Pending", ["a waits:ImagePullBackOff", "b ready runs"], [], "1/2 ImagePullBackOff 0"),
        ("Pending", [], ["PodScheduled=False:SchedulingGated"], "0/0 SchedulingGated 0"),
        ("Pending", [], ["PodScheduled=False:Unschedulable"], "0/0 Pending 0"),
        ("Unknown", ["a runs"], [], "0/1 Unknown 0"),
    ],
)
def test_containers_give_the_word(phase: str, mains: list[str], told: list[str], row: str) -> None:
    assert printed(pod(phase, mains, [], told)) == row


@pytest.mark.parametrize(
    ("phase", "inits", "mains", "told", "row"),
    [
        ("Odd", ["i runs x3@10"], ["a waits:"], [], "0/1 Init:0/1 3 (10s ago)"),
        ("Odd", ["i runs x3@10", "j waits:"], ["a waits:"], [], "0/1 Init:0/2 3 (10s ago)"),
        ("Odd", ["i ends:0", "j runs x3@10"], ["a waits:"], [], "0/1 Init:1/2 3 (10s ago)"),
        ("Odd", ["i ends:0 x2@120", "j runs x3@10"], ["a waits:"], [], "0/1 Init:1/2 5 (10s ago)"),
        ("Running", ["i ends:0 x2@120"], ["a runs x4@20"], [], "0/1 Running 4 (20s ago)"),
        ("Pending", ["i waits:PodInitializing"], ["a waits:PodInitializing"], [], "0/1 Init:0/1 0"),
        ("Pending", ["i waits:CrashLoopBackOff x6@88"], ["a waits:"], [], "0/1 Init:CrashLoopBackOff 6 (1m ago)"),
        ("Pending", ["i waits:ImagePullBackOff"], ["a waits:"], [], "0/1 Init:ImagePullBackOff 0"),
        ("Pending", ["i ends:3:Error"], ["a waits:PodInitializing"], [], "0/1 Init:Error 0"),
        ("Pending", ["i ends:3"], ["a waits:PodInitializing"], [], "0/1 Init:ExitCode:3 0"),
        ("Pending", ["i ends:137::9"], ["a waits:PodInitializing"], [], "0/1 Init:Signal:9 0"),
        ("Pending", ["i ends:0"], ["a waits:PodInitializing"], INITIALIZED, "0/1 PodInitializing 0"),
        (
            "Pending",
            ["+i runs unstarted x3@10", "+j waits: unstarted"],
            ["a waits:"],
            ["Initialized=False"],
            "0/3 Init:0/2 3 (10s ago)",
        ),
        (
            "Pending",
            ["+i runs started x3@10", "+j runs unstarted"],
            ["a waits:"],
            ["Initialized=False"],
            "0/3 Init:1/2 3 (10s ago)",
        ),
        (
            "Running",
            ["+i runs started x3@10", "+j runs started"],
            ["a ready runs x4@20"],
            INITIALIZED,
            "1/3 Running 7 (10s ago)",
        ),
        (
            "Succeeded",
            ["+i ends:137:Error unstarted x3@10", "+j ends:137:Error unstarted"],
            ["a ends:0:Completed x4@20"],
            INITIALIZED,
            "0/3 Completed 7 (10s ago)",
        ),
        ("Running", ["?gone", "i", "+s"], ["?other", "a"], [], "0/2 Init:0/2 0"),
        ("Running", ["i ends:0", "+s ready runs started"], ["a ready runs"], INITIALIZED, "2/2 Running 0"),
    ],
)
def test_init_containers_come_first(phase: str, inits: list[str], mains: list[str], told: list[str], row: str) -> None:
    assert printed(pod(phase, mains, inits, told)) == row


@pytest.mark.parametrize(
    ("phase", "reason", "mains", "deleted", "row"),
    [
        ("Odd", "Because", ["a ready runs x3", "b ready x3"], False, "1/2 Because 6"),
        ("Failed", "Evicted", [], False, "0/0 Evicted 0"),
        ("Running", "NodeLost", ["a runs"], False, "0/1 NodeLost 0"),
        ("Running", "NodeLost", ["a runs"], True, "0/1 Unknown 0"),
        ("Succeeded", "", ["a ends:0:Completed"], True, "0/1 Completed 0"),
        ("Failed", "", ["a ends:1:Error"], True, "0/1 Error 0"),
        ("Running", "", ["a runs"], True, "0/1 Terminating 0"),
        ("Pending", "", [], True, "0/0 Terminating 0"),
    ],
)
def test_the_pod_s_own_reason_and_its_deletion(
    phase: str, reason: str, mains: list[str], deleted: bool, row: str
) -> None:
    assert printed(pod(phase, mains, [], [], reason, deleted=deleted)) == row
