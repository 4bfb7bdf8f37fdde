"""The guard: policy, blast radius, and the audit log of everything that was asked for."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from devenv.control import audit
from devenv.control.audit import AuditLog
from devenv.control.guard import ClusterIdentity, Guard
from devenv.control.kube.control import VERBS as KUBE_VERBS
from devenv.control.verbs import VERBS
from devenv.core.errors import Interrupted, Refused, ServiceFailed
from devenv.core.kube_settings import KubeSettings
from devenv.core.model import Project, Service
from devenv.core.settings import Config, ConfirmSettings

PROJECT = Project("shop", "/p", ("/p/compose.yaml",), (Service("web"),), volumes=("shop_data", "shop_cache"))


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    return AuditLog(tmp_path / "state" / "audit.jsonl")


def records(log: AuditLog) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.path.read_text().splitlines()]


@pytest.mark.parametrize("verb", VERBS)
def test_read_only_refuses_every_verb_and_writes_it_down(log: AuditLog, verb: str) -> None:
    guard = Guard(log, read_only=True)
    plan = guard.plan(verb, project=PROJECT)
    assert not plan.allowed
    with pytest.raises(Refused, match="read-only") as caught:
        guard.begin(plan, PROJECT)
    assert "DEVENV_READ_ONLY" in caught.value.hint
    (record,) = records(log)
    assert (record["event"], record["verb"], record["project"]) == ("refused", verb, "shop")


def test_an_allowed_change_has_a_begin_and_an_end(log: AuditLog) -> None:
    guard = Guard(log, source="tui")
    ticket = guard.begin(guard.plan("restart", ("web",), project=PROJECT), PROJECT)
    assert ticket.warning == ""
    guard.finish(ticket)
    begun, ended = records(log)
    assert (begun["event"], begun["source"], begun["targets"]) == ("allowed", "tui", ["web"])
    assert begun["at"].endswith("+00:00")
    assert begun["user"]
    assert (ended["event"], ended["result"], ended["exit_code"]) == ("finished", "done", 0)
    assert ended["request"] == begun["request"]
    assert ended["seconds"] >= 0


@pytest.mark.parametrize(
    ("error", "result", "code"),
    [
        (ServiceFailed("web: boom"), "failed", 7),
        (Interrupted("stopped"), "interrupted", 130),
        (KeyboardInterrupt(), "interrupted", 130),
        (RuntimeError("bug"), "failed", 1),
    ],
)
def test_how_a_change_ended(log: AuditLog, error: BaseException, result: str, code: int) -> None:
    guard = Guard(log)
    guard.finish(guard.begin(guard.plan("up", project=PROJECT), PROJECT), error)
    ended = records(log)[-1]
    assert (ended["result"], ended["exit_code"]) == (result, code)
    assert ended["error"]


def test_what_takes_something_away_is_to_be_confirmed(log: AuditLog) -> None:
    guard = Guard(log)
    asked = [verb for verb in VERBS if guard.plan(verb, project=PROJECT).needs_confirmation]
    assert asked == ["down", "kill", "rm", "recreate", "scale", "prune"]
    for signal, asks in (("KILL", True), ("SIGTERM", True), ("HUP", False), ("sigusr1", False)):
        plan = guard.plan("kill", ("web",), project=PROJECT, options={"signal": signal})
        assert plan.needs_confirmation is asks, signal


@pytest.mark.parametrize(
    ("policy", "verb", "asks", "typed"),
    [
        ("never", "rm", False, ""),
        ("ask", "stop", True, ""),
        ("type", "stop", True, "shop"),
        ("", "rm", True, ""),
        ("", "stop", False, ""),
    ],
)
def test_how_an_act_is_confirmed_is_a_setting(log: AuditLog, policy: Any, verb: str, asks: bool, typed: str) -> None:
    guard = Guard(log, confirm=ConfirmSettings(**{verb: policy}))
    plan = guard.plan(verb, ("web",), project=PROJECT)
    assert (plan.needs_confirmation, plan.typed) == (asks, typed)


def test_what_deletes_volumes_or_a_namespace_is_typed_whatever_the_setting_says(log: AuditLog) -> None:
    guard = Guard(log, confirm=ConfirmSettings(down="never", delete="never"))
    plan = guard.plan("down", project=PROJECT, volumes=True)
    assert (plan.needs_confirmation, plan.typed) == (True, "shop")
    place = ClusterIdentity("minikube", "", "https://x")
    for target, name in (("namespace/team", "team"), ("persistentvolumeclaim/team/data", "data")):
        deleted = guard.plan_cluster("delete", (target,), place)
        assert (deleted.needs_confirmation, deleted.typed) == (True, name)
    assert not guard.plan_cluster("delete", ("pod/team/web",), place, needs_confirmation=True).needs_confirmation


def test_each_verb_has_its_setting() -> None:
    assert set(ConfirmSettings.__struct_fields__) == {*VERBS, *KUBE_VERBS}


def test_the_blast_radius_names_what_is_lost(log: AuditLog) -> None:
    guard = Guard(log)
    plain = guard.plan("down", project=PROJECT)
    assert plain.losses == ()
    assert "project shop" in plain.sentences[0]
    plan = guard.plan("down", project=PROJECT, volumes=True)
    assert plan.losses == ("shop_data", "shop_cache")
    assert "shop_data, shop_cache" in plan.sentences[-1]
    told = guard.plan("down", ("web",), project=PROJECT, volumes=True, losses=("only_this",))
    assert told.losses == ("only_this",)
    assert "web" in told.sentences[0]
    assert "anonymous" in guard.plan("down", project=PROJECT, volumes=True, losses=()).sentences[-1]


def test_what_was_not_confirmed_is_written_down(log: AuditLog) -> None:
    guard = Guard(log)
    error = guard.refuse(guard.plan("down", project=PROJECT, volumes=True), "not confirmed", "hint", PROJECT)
    assert (error.message, error.hint, error.exit_code) == ("not confirmed", "hint", 10)
    (record,) = records(log)
    assert (record["event"], record["reason"], record["volumes"]) == ("refused", "not confirmed", True)


def test_rm_says_whether_it_stops_what_runs(log: AuditLog) -> None:
    guard = Guard(log)
    assert guard.plan("rm", ("web",), project=PROJECT).sentences[0] == "Stops and removes the containers of web."
    stopped = guard.plan("rm", ("web",), project=PROJECT, options={"stopped": "yes"})
    assert stopped.sentences[0] == "Removes the containers of web that do not run; the others stay."


def test_an_unknown_verb_is_a_bug(log: AuditLog) -> None:
    with pytest.raises(ValueError, match="no such verb"):
        Guard(log).plan("explode")


def test_the_log_belongs_to_the_user_alone(log: AuditLog) -> None:
    assert log.write("x", text="\ud800 [/foo]\n") == ""
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600
    assert len(log.path.read_bytes().splitlines()) == 1


def test_a_log_that_cannot_be_written_warns_and_does_not_stop_the_change(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    guard = Guard(AuditLog(tmp_path / "file" / "audit.jsonl"))
    ticket = guard.begin(guard.plan("up", project=PROJECT), PROJECT)
    assert "cannot be written" in ticket.warning


def test_a_full_log_is_put_aside(log: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "ROTATE_AT", 200)
    for number in range(10):
        log.write("x", number=number)
    assert log.path.stat().st_size < 400
    kept = [*log.path.with_suffix(".jsonl.1").read_text().splitlines(), *log.path.read_text().splitlines()]
    assert json.loads(kept[-1])["number"] == 9


def test_the_log_is_in_the_users_state_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert audit.default_path() == tmp_path / "devenv" / "audit.jsonl"


@pytest.mark.parametrize("verb", ["restart", "stop"])
def test_who_shares_a_namespace_is_named_before_its_owner_goes(log: AuditLog, verb: str) -> None:
    shop = Project("shop", "/p", (), (Service("gw"), Service("app", shares=("gw",)), Service("side", shares=("app",))))
    plan = Guard(log).plan(verb, ("gw",), project=shop)
    assert plan.needs_confirmation
    assert plan.sentences[-1].startswith("app, side shares a namespace")
    assert not Guard(log).plan(verb, ("gw", "app", "side"), project=shop).needs_confirmation
    assert not Guard(log).plan(verb, (), project=shop).needs_confirmation
    assert not Guard(log).plan("start", ("gw",), project=shop).needs_confirmation


def test_settings_make_the_guard_with_the_log_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    config = Config(read_only=False, kubernetes=KubeSettings(allow=("team-*",)))
    guard = Guard.of(config, "tui")
    allowed, other = (
        guard.plan_cluster("scale", ("web",), ClusterIdentity(name, "", "")) for name in ("team-a", "prod")
    )
    assert (allowed.allowed, other.allowed) == (True, False)
    guard.finish(guard.begin(allowed))
    guard.note("clean", removed=["network x"])
    records = [json.loads(line) for line in (tmp_path / "devenv" / "audit.jsonl").read_text().splitlines()]
    assert [record["event"] for record in records] == ["allowed", "finished", "clean"]
    assert records[0]["source"] == "tui"
    assert records[2]["removed"] == ["network x"]
    assert not Guard.of(Config(read_only=True)).plan("up").allowed


def test_the_log_is_read_back_as_changes_with_their_ends(log: AuditLog) -> None:
    guard = Guard(log, source="tui")
    ticket = guard.begin(guard.plan("kill", ("web",), project=PROJECT, options={"signal": "INT"}), PROJECT)
    guard.finish(ticket, ServiceFailed("web: boom"))
    guard.begin(guard.plan("up", project=PROJECT, options={"no_deps": "yes"}), PROJECT)
    guard.refuse(guard.plan("down", project=PROJECT, options={"all": "yes"}), "not confirmed", "", PROJECT)
    place = ClusterIdentity("minikube", "shop", "https://x")
    guard.begin(guard.plan_cluster("scale", ("deployment/shop/web",), place, options=(("replicas", "3"),)), now=place)
    with log.path.open("a") as file:
        file.write("cut by a full di")
    killed, up, down, scaled = log.entries()
    assert (killed.what, killed.where, killed.verdict, killed.reason) == ("kill web", "shop", "failed", "web: boom")
    assert killed.seconds is not None
    assert killed.command == "docker compose --project-name shop kill --signal INT web"
    assert (up.verdict, up.seconds) == ("running", None)
    assert up.command == "docker compose --project-name shop up --detach --no-deps"
    assert (down.verdict, down.reason) == ("refused", "not confirmed")
    assert down.command == "docker compose --project-name shop --profile '*' down --remove-orphans"
    assert (scaled.where, scaled.what) == ("minikube/shop", "scale deployment/shop/web")
    assert scaled.command == "kubectl --context minikube --namespace shop scale deployment/web --replicas=3"


def test_a_process_number_that_comes_back_tells_of_another_change(log: AuditLog) -> None:
    for verb in ("up", "stop"):
        log.write("allowed", request=1, source="cli", verb=verb, targets=["web"], project="shop")
        log.write("finished", request=1, verb=verb, result="done", seconds=1.5)
    assert [(entry.what, entry.verdict, entry.seconds) for entry in log.entries()] == [
        ("up web", "done", 1.5),
        ("stop web", "done", 1.5),
    ]
