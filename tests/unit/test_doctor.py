"""Each check tells the healthy from the sick, with a fix; a broken check hides no other."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from devenv.backends.docker.parse import LABEL_FILES, LABEL_FOLDER
from devenv.backends.docker.snapshot import EngineFacts
from devenv.core.errors import EngineUnreachable, ProjectError, ToolMissing
from devenv.core.model import Port, Project, Resource, Runtime, Service, State
from devenv.core.settings import Config, load_config
from devenv.doctor import CHECKS
from devenv.doctor.check import Check, Context, Finding, Level, run_checks
from devenv.doctor.cluster import check_kubeconfig
from devenv.doctor.machine import (
    DISK_FULL,
    DISK_LOW,
    check_clock,
    check_cpu,
    check_disk,
    check_docker_cli,
    check_docker_config,
    check_engine,
    check_file_events,
    check_inotify,
    check_memory,
    check_origin,
    check_ports,
    check_project,
    check_python,
    check_settings,
)
from devenv.watch.observe import Observer

FACTS = EngineFacts(
    endpoint="unix:///var/run/docker.sock (context default)",
    version="28.5.2",
    system="Debian",
    root="/",
    memory=8 * 1024**3,
    cpus=4,
    local=True,
    clock_skew=0.1,
)


def shop(*published: Port) -> Project:
    return Project("shop", "/shop", ("/shop/compose.yaml",), (Service("web", ports=published),))


def context(facts: EngineFacts = FACTS, here: Project | None = None, environ: dict[str, str] | None = None) -> Context:
    return Context(lambda: here or shop(), environ or {}, lambda _: facts)


def test_a_healthy_engine_passes() -> None:
    checks = (check_engine, check_clock, check_memory, check_cpu, check_project)
    assert [check(context()).level for check in checks] == [Level.OK] * len(checks)


@pytest.mark.parametrize(
    ("check", "sick", "level", "word"),
    [
        (check_engine, replace(FACTS, version="24.0.9"), Level.FAILED, "24.0.9"),
        (check_clock, replace(FACTS, clock_skew=-90.0), Level.WARNING, "90 s behind"),
        (check_clock, replace(FACTS, clock_skew=90.0), Level.WARNING, "90 s ahead of"),
        (check_clock, replace(FACTS, clock_skew=None), Level.UNKNOWN, "time"),
        (check_memory, replace(FACTS, memory=1024**3), Level.FAILED, "1.0 GiB"),
        (check_memory, replace(FACTS, memory=4 * 1024**3), Level.WARNING, "8 GB are recommended"),
        (check_cpu, replace(FACTS, cpus=1), Level.WARNING, "1 processor"),
        (check_disk, replace(FACTS, local=False), Level.UNKNOWN, "not on this machine"),
        (check_disk, replace(FACTS, root="/no/such/folder"), Level.UNKNOWN, "not on this machine"),
    ],
)
def test_a_sick_engine_is_told(check: Callable[[Context], Finding], sick: EngineFacts, level: Level, word: str) -> None:
    found = check(context(sick))
    assert found.level is level
    assert word in found.message


@pytest.mark.parametrize(("free", "level"), [(DISK_FULL - 1, Level.FAILED), (DISK_LOW - 1, Level.WARNING)])
def test_a_full_disk_is_told(free: int, level: Level, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        pass

    usage = Usage()
    usage.free = free  # type: ignore[attr-defined]  # the one field that is read
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    assert check_disk(context()).level is level


def test_a_taken_port_names_who_has_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        found = check_ports(context(here=shop(Port(80, host=taken, host_ip="127.0.0.1"))))
    assert found.level is Level.FAILED
    assert f"{taken}/tcp of web: process" in found.message
    assert found.fix


def test_a_port_of_another_project_is_taken_and_of_this_one_is_not() -> None:
    here = shop(Port(80, host=8080))
    own = replace(FACTS, published={(8080, "tcp"): "shop"})
    other = replace(FACTS, published={(8080, "tcp"): "rival"})
    assert check_ports(context(own, here)).level is Level.OK
    found = check_ports(context(other, here))
    assert found.level is Level.FAILED
    assert "rival" in found.message


def test_a_free_port_is_fine() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    assert check_ports(context(here=shop(Port(80, host=free)))).level is Level.OK


def test_an_engine_or_project_that_fails_is_a_finding_of_each_check_that_needs_it() -> None:
    def no_engine(_: object) -> EngineFacts:
        raise EngineUnreachable("nobody answers", "start it")

    def no_project() -> Project:
        raise ProjectError("no file", "name one")

    findings = {finding.check: finding for finding in run_checks(Context(no_project, {"PATH": ""}, no_engine), CHECKS)}
    assert findings["engine"] == Finding("engine", Level.FAILED, "nobody answers", "start it")
    assert findings["project"] == Finding("project", Level.FAILED, "no file", "name one")
    assert findings["docker-cli"].message == "docker is not installed"


def test_a_check_that_breaks_hides_no_other() -> None:
    def broken(_: Context) -> Finding:
        raise ZeroDivisionError

    findings = run_checks(context(), (Check("broken", "", broken), Check("memory", "", check_memory)))
    assert [finding.level for finding in findings] == [Level.CRASHED, Level.OK]


def test_one_cause_is_told_once() -> None:
    def no_engine(environ: object) -> EngineFacts:
        raise EngineUnreachable("nobody answers", "start it")

    checks = (Check("engine", "", check_engine), Check("memory", "", check_memory), Check("clock", "", check_clock))
    findings = run_checks(Context(shop, {}, no_engine), checks)
    assert findings[0] == Finding("engine", Level.FAILED, "nobody answers", "start it")
    assert findings[1:] == (
        Finding("memory", Level.UNKNOWN, "not checked: see engine"),
        Finding("clock", Level.UNKNOWN, "not checked: see engine"),
    )


def test_the_engine_is_asked_once() -> None:
    asked: list[object] = []

    def ask(environ: object) -> EngineFacts:
        asked.append(environ)
        return FACTS

    here = Context(shop, {}, ask)
    run_checks(
        here, (Check("engine", "", check_engine), Check("memory", "", check_memory), Check("clock", "", check_clock))
    )
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("prints", "code", "level", "word"),
    [
        ("Docker version 28.5.2, build x", 0, Level.OK, "28.5.2"),
        ("Docker version 19.3.1", 0, Level.FAILED, "too old: 19.3.1"),
        ("no version at all", 0, Level.FAILED, "does not work"),
        ("docker: 'x' is not a docker command", 1, Level.FAILED, "does not work"),
    ],
)
def test_the_docker_program(tmp_path: Path, prints: str, code: int, level: Level, word: str) -> None:
    program = tmp_path / "docker"
    program.write_text(f'#!/bin/sh\necho "{prints}"\nexit {code}\n')
    program.chmod(0o755)
    found = check_docker_cli(context(environ={"PATH": str(tmp_path)}))
    assert found.level is level
    assert word in found.message


CONTEXT = "contexts: [{name: a, context: {cluster: c}}]\nclusters: [{name: c}]"


@pytest.mark.parametrize(
    ("text", "level", "words"),
    [
        (None, Level.OK, "no cluster is configured"),
        ("{contexts: [", Level.WARNING, "is not YAML"),
        ("contexts: [{name: a, context: {cluster: gone}}]", Level.WARNING, "a: the kubeconfig has no cluster 'gone'"),
        (f"current-context: b\n{CONTEXT}", Level.WARNING, "the current context does not exist: b"),
        (f"current-context: a\n{CONTEXT}", Level.OK, "1 context, a is current"),
    ],
)
def test_a_kubeconfig_that_cannot_be_used_is_told(tmp_path: Path, text: str | None, level: Level, words: str) -> None:
    path = tmp_path / "kubeconfig"
    if text is not None:
        path.write_text(text)
    found = check_kubeconfig(context(environ={"KUBECONFIG": str(path)}))
    assert found.level is level
    assert words in found.message


@pytest.mark.parametrize(("text", "level"), [(None, Level.OK), ('{"auths": {', Level.WARNING)])
def test_a_docker_config_that_cannot_be_used_is_told(tmp_path: Path, text: str | None, level: Level) -> None:
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    found = check_docker_config(context(environ={"DOCKER_CONFIG": str(tmp_path)}))
    assert found.level is level
    assert str(tmp_path / "config.json") in found.message or text is None


def test_what_another_check_tells_is_told_by_that_one_alone() -> None:
    def no_engine(environ: object) -> EngineFacts:
        raise EngineUnreachable("nobody answers", "start it")

    def no_compose() -> Project:
        raise ToolMissing("docker has no compose command", "install it")

    def no_context() -> Project:
        raise EngineUnreachable('context "x" not found', "list them")

    def told(resolve: Callable[[], Project], *names: str, environ: dict[str, str]) -> dict[str, str]:
        checks = tuple(entry for entry in CHECKS if entry.name in names)
        findings = run_checks(Context(resolve, environ, no_engine), checks)
        return {finding.check: finding.message for finding in findings}

    nothing = {"PATH": ""}
    found = told(no_compose, "docker-cli", "compose", "buildx", "project", "ports", "origin", environ=nothing)
    assert found.pop("docker-cli") == "docker is not installed"
    assert set(found.values()) == {"not checked: see docker-cli"}
    found = told(no_context, "engine", "memory", "project", "ports", "origin", environ=nothing)
    assert found.pop("engine") == "nobody answers"
    assert set(found.values()) == {"not checked: see engine"}
    found = told(no_context, "project", "ports", environ=nothing)
    assert found["project"] == 'context "x" not found', "without the check that owns it, the first tells it"


def test_a_docker_that_does_not_work_is_told_without_its_plugins(tmp_path: Path) -> None:
    program = tmp_path / "docker"
    program.write_text("#!/bin/sh\necho broken: $* >&2\nexit 1\n")
    program.chmod(0o755)
    checks = tuple(entry for entry in CHECKS if entry.name in ("docker-cli", "compose", "buildx"))
    findings = run_checks(Context(shop, {"PATH": str(tmp_path)}, lambda _: FACTS), checks)
    assert findings[0].message.startswith("docker does not work: broken")
    assert [finding.message for finding in findings[1:]] == ["not checked: see docker-cli"] * 2


def test_a_project_that_is_wrong_is_told_beside_an_engine_that_is_away() -> None:
    def no_engine(environ: object) -> EngineFacts:
        raise EngineUnreachable("nobody answers", "start it")

    def no_project() -> Project:
        raise ProjectError("no file", "name one")

    findings = run_checks(Context(no_project, {}, no_engine), tuple(entry for entry in CHECKS if entry.name != "disk"))
    failed = {finding.check: finding.message for finding in findings if finding.level is Level.FAILED}
    assert failed["engine"] == "nobody answers"
    assert failed["project"] == "no file"
    assert not {"ports", "origin", "clock", "memory"} & set(failed)


@pytest.mark.parametrize(
    ("folder", "files", "level", "told"),
    [
        ("/shop", "/shop/compose.yaml", Level.OK, "started from here"),
        ("/clone", "/clone/compose.yaml", Level.WARNING, "Project shop was started from /clone"),
        (
            "/shop",
            "/shop/compose.yaml,/shop/dev.yaml",
            Level.WARNING,
            "with other files: /shop/compose.yaml, /shop/dev",
        ),
        ("", "", Level.OK, "do not exist yet"),
    ],
)
def test_containers_of_another_folder_or_other_files_are_told(folder: str, files: str, level: Level, told: str) -> None:
    labels = ((LABEL_FOLDER, folder), (LABEL_FILES, files))
    web = Resource("docker/1", Runtime.COMPOSE, "container", "shop-web-1", "web", State.RUNNING, labels=labels)
    found = check_origin(Context(shop, {}, lambda _: FACTS, lambda name, environ: (web,) if folder else ()))
    assert found.level is level
    assert told in found.message
    assert bool(found.fix) is (level is Level.WARNING)


def test_an_env_file_that_is_missing_is_a_warning() -> None:
    found = check_project(
        context(here=Project("shop", "/shop", (), (Service("web"),), problem="the env_file x does not exist"))
    )
    assert found.level is Level.WARNING
    assert "env_file x" in found.message


def test_the_python_that_runs_it_is_told_with_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_python(context()).level is Level.OK
    monkeypatch.setattr("importlib.metadata.requires", lambda name: ["no-such-package>=1", "other; extra == 'dev'"])
    found = check_python(context())
    assert found.level is Level.FAILED
    assert "lacks no-such-package" in found.message


def test_a_wrong_setting_is_told_by_its_own_check_alone(tmp_path: Path) -> None:
    (tmp_path / "devenv.toml").write_text("wait_timeout = -1\n")

    def read() -> Config:
        return load_config(tmp_path, {})

    def no_project() -> Project:
        read()
        raise AssertionError

    checks = tuple(entry for entry in CHECKS if entry.name in ("settings", "project", "ports"))
    findings = run_checks(Context(no_project, {}, lambda _: FACTS, config=read), checks)
    assert findings[0].level is Level.FAILED
    assert "wait_timeout" in findings[0].message
    assert [finding.message for finding in findings[1:]] == ["not checked: see settings"] * 2
    (tmp_path / "devenv.toml").write_text("wait_timeout = 1\n")
    assert check_settings(Context(shop, {}, config=read)).level is Level.OK


def watching(folder: Path) -> Context:
    rule = {"path": str(folder), "action": "sync", "target": "/app"}
    document = {"services": {"web": {"develop": {"watch": [rule]}}}}
    here = Project("shop", str(folder), (), (Service("web"),))
    return Context(lambda: here, {}, lambda _: FACTS, document=lambda: json.dumps(document).encode())


def test_the_folders_to_watch_are_held_against_the_kernels_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a/b", "c"):
        (tmp_path / name).mkdir(parents=True)
    found = check_inotify(watching(tmp_path))
    assert found.level is Level.OK, found
    assert found.message.startswith("4 folders to watch")
    monkeypatch.setattr("devenv.doctor.machine.inotify_in_use", lambda proc: (10**9, 0))
    found = check_inotify(watching(tmp_path))
    assert found.level is Level.FAILED
    assert "fs.inotify.max_user_watches=" in found.fix
    monkeypatch.setattr("devenv.doctor.machine.inotify_in_use", lambda proc: (0, 10**9))
    assert "fs.inotify.max_user_instances=" in check_inotify(watching(tmp_path)).fix


def test_a_saved_file_is_heard_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_file_events(watching(tmp_path)).level is Level.OK
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(Observer, "how", "polling every 1 s (it is on nfs)")
    found = check_file_events(watching(tmp_path))
    assert found.level is Level.WARNING
    assert "--poll" in found.fix


def test_every_check_is_named_once_and_says_what_it_looks_at() -> None:
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names)
    assert all(check.about for check in CHECKS)
    assert {check.after for check in CHECKS} <= {"", *names}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            '[[verify.endpoint]]\nservice = "web"\n[[verify.endpoint]]\nservice = "wbe"',
            ":4: verify.endpoint[1].service",
        ),
        ('[load]\nservice = "wbe"', ":2: load.service"),
        ('[manifests.overlays.dev]\npath = "k8s"', ":2: manifests.overlays.dev.path: there is no such folder"),
        ('[verify.kubernetes]\noverlay = "dev"', ":2: verify.kubernetes.overlay: there is no overlay 'dev'"),
        (
            '[[verify.reload]]\nservice = "web"\nfile = "a.py"\nfind = "a"\nreplace = "{nonce}"\npath = "/"',
            ":3: verify.reload[0].file: there is no such file",
        ),
    ],
)
def test_names_in_devenv_toml_of_what_is_not_there_are_told_with_their_line(
    tmp_path: Path, text: str, told: str
) -> None:
    (tmp_path / "devenv.toml").write_text(text)
    found = check_settings(Context(shop, {}, config=lambda: load_config(tmp_path, {})))
    assert found.level is Level.WARNING
    assert f"devenv.toml{told}" in found.message
