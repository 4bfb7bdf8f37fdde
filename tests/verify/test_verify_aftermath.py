"""On the real engine: what a killed run with an engine of its own leaves, and what a test can and cannot measure."""

from __future__ import annotations

import json
import shutil
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest
from unlike import COMPOSE, LIMIT, begun, devenv, left_of, smoke

from devenv.runs.criteria import Verdict
from devenv.verify import leftovers, own_engine
from devenv.verify.service_verdicts import CONFIG_HASH, ServiceVerdicts
from devenv.verify.waiting import wait_until

pytestmark = pytest.mark.engine

IN_AN_ENGINE = """
from pathlib import Path

def test_hangs(own_engine):
    engine, stack = own_engine
    with engine.network():
        stack.up()
    Path("ready").touch()
    stack.engine.exec("page", "sleep", "600")
"""
FROM_A_CONTAINER = """
import subprocess
from devenv.verify import engine as module

def test_signal(stack, engine, monkeypatch):
    monkeypatch.setattr(module, "_is_ours", lambda pid, container: False)
    since = engine.now()
    before = engine.signal_main("page")
    engine.wait_event("die", "page", since=since, timeout=10)
    engine.wait_event("health_status", "page", since=since, timeout=30, text="is healthy")
    found = engine.container("page")
    assert found.restarts == 1 and found.pid != before.pid and found.container_id == before.container_id
    listed = subprocess.run(["docker", "ps", "-aq", "--filter", f"label=devenv.stack={stack.name}"],
                            capture_output=True, text=True, check=True).stdout.split()
    assert len(listed) == len(engine.containers()), "the helper is gone"

def test_gentle(stack, engine, monkeypatch):
    monkeypatch.setattr(module, "_is_ours", lambda pid, container: False)
    since = engine.now()
    engine.signal_main("page", "TERM")
    engine.wait_event("die", "page", since=since, timeout=10)
"""
OFFLINE = """
def test_cold(fresh_stack):
    fresh_stack(up=False, build=True, override={"services": {"once": {"build": {"network": "none"}}}})

def test_wrong_step(fresh_stack):
    fresh_stack(up=False, build=True, edit=lambda folder: (folder / "Dockerfile").write_text(
        "ARG BASE\\nFROM ${BASE}\\nRUN echo no such file; exit 3\\n"))
"""


@pytest.fixture
def short() -> Iterator[Path]:
    """A state folder whose path leaves room for the sockets of an engine."""
    folder = Path(tempfile.mkdtemp(prefix="dv"))
    yield folder
    runs = folder / "devenv" / "runs"
    for run in runs.iterdir() if runs.is_dir() else ():
        leftovers.remove(leftovers.on_engine(run.name))
        own_engine.remove_groups(own_engine.group_name(run.name))
    shutil.rmtree(folder)


@pytest.mark.skipif(own_engine.why_not(Path("/")) != "", reason="a second engine needs Linux and root")
def test_what_a_killed_run_with_its_own_engine_leaves_is_removed(
    project: Path, short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "smoketests" / "test_unlike.py").write_text(IN_AN_ENGINE)
    shims = Path("/run/containerd/s")
    monkeypatch.setenv("XDG_STATE_HOME", str(short))
    process = smoke(project)
    run = begun(project, process, short)
    group = own_engine.group_name(run)
    folder = short / "devenv" / "runs" / run
    process.kill()
    process.communicate(timeout=LIMIT)
    engine = str(folder / "trees" / "engine")
    assert own_engine.groups_of(group), "this is what the test is about"
    assert engine not in Path("/proc/mounts").read_text()
    wait_until("its processes to end", lambda: [name for name in _running() if engine in name], 30.0, _is_empty)
    assert not [item for item in shims.glob("*") if _belongs_to(item, folder)]
    removed = devenv(project, "doctor", "--clean")
    assert f"removed cgroup {group}" in removed
    assert not own_engine.groups_of(group)
    assert left_of(run) == []
    assert "nothing is left" in devenv(project, "doctor", "--clean")


def test_the_main_process_is_reached_from_a_container_too(project: Path) -> None:
    (project / "smoketests" / "test_unlike.py").write_text(FROM_A_CONTAINER)
    process = smoke(project)
    output, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, output


def test_a_build_that_reaches_no_package_index_is_inconclusive_and_a_wrong_step_is_not(project: Path) -> None:
    install = "python3 -c \"import urllib.request as u; u.urlopen('http://packages.invalid/simple/')\""
    (project / "Dockerfile").write_text(f"ARG BASE\nFROM ${{BASE}}\nRUN {install}\n")
    (project / "smoketests" / "test_unlike.py").write_text(OFFLINE)
    process = smoke(project)
    output, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 1, output
    report = json.loads((project / "reports" / "report.json").read_text())
    cold, wrong = report["tests"]
    assert cold["verdict"] == "inconclusive", cold
    assert "could not reach" in cold["why"]
    assert "packages.invalid" in cold["why"]
    assert wrong["verdict"] == "error", wrong


def test_the_run_notes_what_it_verified_and_the_working_trees_containers_are_the_same(project: Path) -> None:
    text = COMPOSE.replace("    container_name: devenv-verify-fixed-name\n", "").replace("fixed-volume", project.name)
    name = f"devenv-test-{project.parent.name.replace('_', '-')[:40].strip('-').lower()}"
    (project / "compose.yaml").write_text(f"name: {name}\n{text}")
    process = smoke(project, "-k", "test_crash or test_slow")
    output, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 1, output
    found = ServiceVerdicts().of(name)
    assert found["page"].verdict is Verdict.FAILED, "test_slow is about all services"
    report = json.loads((project / "reports" / "report.json").read_text())
    assert {test["id"].rpartition("::")[2]: test["services"] for test in report["tests"]} == {
        "test_crash": ["page"],
        "test_slow": [],
    }
    from devenv.verify.engine import docker
    from devenv.verify.service_verdicts import image_contents

    try:
        devenv(project, "up", "--build")
        ids = docker("compose", "--project-name", name, "ps", "--all", "--quiet").split()
        for item in json.loads(docker("inspect", *ids)):
            labels = item["Config"]["Labels"]
            service = labels["com.docker.compose.service"]
            subject = found[service].subject
            assert subject.config == labels[CONFIG_HASH], service
            assert subject.image == image_contents([item["Image"]])[item["Image"]], service
    finally:
        docker("compose", "--project-name", name, "down", "--volumes", "--rmi", "local", "--timeout", "1")


def test_junit_of_a_test_with_a_broken_clean_up_keeps_the_schema(project: Path) -> None:
    tests = """
import pytest

@pytest.fixture
def broken():
    yield
    raise RuntimeError("the clean-up broke")

@pytest.fixture
def never():
    raise RuntimeError("the setup broke")

def test_both(broken, verify_session):
    assert False, "the test failed"

def test_setup(never, broken):
    pass

def test_clean_up(broken):
    pass
"""
    (project / "smoketests" / "test_unlike.py").write_text(tests)
    process = smoke(project)
    output, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 1, output
    suite = ET.parse(project / "reports" / "junit.xml").getroot()[0]
    cases = {case.get("name"): [child.tag for child in case] for case in suite.iter("testcase")}
    assert cases == {"test_both": ["failure"], "test_setup": ["error"], "test_clean_up": ["error"]}
    assert "the clean-up broke" in ET.tostring(suite, encoding="unicode")
    counted = {name: int(suite.get(name) or -1) for name in ("tests", "failures", "errors")}
    assert counted == {"tests": 3, "failures": 1, "errors": 2}


def _is_empty(found: list[str]) -> bool:
    return not found


def _running() -> list[str]:
    """The command lines of all processes."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
        except OSError:
            continue  # it ended while we looked
    return found


def _belongs_to(socket: Path, folder: Path) -> bool:
    """Whether a shim's socket is one of an engine below the folder: its name is a hash of address and container."""
    import hashlib

    address = folder / "trees" / "engine" / "x" / "containerd" / "containerd.sock"
    containers = folder / "trees" / "engine" / "data" / "containers"
    names = [f"{address}/moby/{item.name}" for item in containers.glob("*")]
    return socket.name in {hashlib.sha256(name.encode()).hexdigest() for name in names}
