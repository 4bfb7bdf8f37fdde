"""The whole terminal on an API server: real backend, real control, real guard; only the cluster is made up."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from devenv.backends.compose import ComposeOptions
from devenv.control.guard import Guard
from devenv.core.kube_settings import KubeSettings
from devenv.tui.app import DevenvApp
from devenv.tui.kube.connect import KubeConnector
from devenv.tui.kube.controller import ClusterController
from fakes.api_server import ApiServer, deployment
from tests.terminal.driving import Driver
from tests.terminal.scripted import ScriptedBackend, ScriptedControl, container


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with ApiServer(namespaces=("default", "other")) as made:
        made.controllers.start()
        yield made


@asynccontextmanager
async def opened(
    api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, context: str = "minikube", wanted: str = ""
) -> AsyncIterator[Driver]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    environ = {"KUBECONFIG": str(api.kubeconfig(tmp_path / "config", context)), "HOME": str(tmp_path)}
    options = ComposeOptions(directory=str(tmp_path))
    connector = KubeConnector(KubeSettings(context=wanted), environ, options, Guard())
    backend, control = ScriptedBackend(), ScriptedControl()
    app = DevenvApp(backend, control, title="shop", theme="dark", cluster=connector)
    # A key press waits until the process is idle, a second at the most: with the API server in it, it never is.
    monkeypatch.setattr("textual.app.wait_for_idle", lambda _: asyncio.sleep(0.02))
    async with app.run_test(size=(140, 40), notifications=True) as pilot:
        yield Driver(app, pilot, backend, control)
        for source in reversed(app.feed.sources):
            source.stop()


def titles(terminal: Driver) -> list[str]:
    return [row.cells[0].text.strip() for row in terminal.main.table.rows]


def audit_log(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for path in folder.rglob("*.jsonl") for line in path.read_text("utf-8").splitlines()]


async def test_a_workload_is_restarted_scaled_and_deleted(
    api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.put(deployment("web", replicas=2))
    async with opened(api, tmp_path, monkeypatch) as terminal:
        terminal.backend.live(container("web"))
        await terminal.sees("⎈ minikube/default", "● compose ● 2/2 k8s", "2 pods")
        await terminal.press("right")
        await terminal.until(lambda: len(titles(terminal)) == 5)
        await terminal.press("down", "down")
        await terminal.until(
            lambda: terminal.main.table.selected and "deployment" in terminal.main.table.selected.title
        )
        before = {item["metadata"]["name"] for item in api.objects("pods", "default")}
        await terminal.press("r")
        await terminal.sees("✓ restart deployment/default/web: done")
        await terminal.until(lambda: not before & {str(item["metadata"]["name"]) for item in api.objects("pods")})
        await terminal.press("c")
        await terminal.sees("How many pods shall deployment web have?")
        await terminal.press("backspace", "3", "enter")
        await terminal.sees("● compose ● 3/3 k8s")
        await terminal.press("ctrl+d")
        await terminal.sees("Delete: deployment/default/web?", "pods")
        await terminal.confirm("y")
        await terminal.until(lambda: not api.objects("deployments", "default"))
        await terminal.until(lambda: titles(terminal) == ["web"])
    audited = audit_log(tmp_path)
    assert {item["verb"] for item in audited} == {"restart", "scale", "delete"}
    assert {item["context"] for item in audited if "context" in item} == {"minikube"}


async def test_a_pod_that_its_controller_makes_again_is_deleted_after_a_question_only(
    api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = deployment("web")
    content["spec"]["template"]["spec"]["volumes"] = [{"name": "data", "emptyDir": {}}]
    api.put(content)
    async with opened(api, tmp_path, monkeypatch) as terminal:
        await terminal.sees("▸ web", "● 1/1 ready")
        await terminal.press(":", *"pods", "enter")
        (item,) = api.objects("pods", "default")
        name = str(item["metadata"]["name"])
        await terminal.sees("CONTROLLED BY")
        await terminal.press("ctrl+d")
        await terminal.sees(
            f"Delete: pod/default/{name}?", "This cannot be had back:", "the local data of pod", "emptyDir"
        )
        await terminal.press("n")
        assert [found["metadata"]["name"] for found in api.objects("pods", "default")] == [name]
    assert audit_log(tmp_path) == []


async def test_the_keys_that_begin_something_end_it_too(
    api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.put(deployment("web"))
    async with opened(api, tmp_path, monkeypatch) as terminal:
        await terminal.sees("▸ web", "● 1/1 ready")
        for paused in (True, False):
            await terminal.press("P")
            await terminal.until(
                lambda paused=paused: bool(api.get("deployments", "web")["spec"].get("paused")) is paused
            )
            await terminal.until(lambda paused=paused: terminal.shows("rollout paused") is paused)
        cast(ClusterController, terminal.main.controller).navigation.to_kind("nodes")
        await terminal.sees("minikube", "RUNTIME")
        for closed in (True, False):
            await terminal.press("K")
            await terminal.until(
                lambda closed=closed: bool(api.get("nodes", "minikube")["spec"].get("unschedulable")) is closed
            )
            await terminal.until(lambda closed=closed: terminal.shows("takes no new pods") is closed)


async def test_a_context_that_is_not_on_the_list_changes_nothing(
    api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.put(deployment("web"))
    async with opened(api, tmp_path, monkeypatch, context="prod", wanted="prod") as terminal:
        await terminal.sees("⎈ prod/default", "READ-ONLY", "▸ web", "● 1/1 ready")
        await terminal.press("r")
        await terminal.sees("restart was refused", "prod is not on the list")
        await terminal.press("s")
        await terminal.sees("exec was refused")
        assert api.count("PATCH") == 0


async def test_an_api_server_that_goes_away_and_comes_back(
    api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.put(deployment("web"))
    async with opened(api, tmp_path, monkeypatch) as terminal:
        await terminal.sees("▸ web", "● 1/1 ready")
        api.stop()
        await terminal.until(lambda: any(word in terminal.lines()[1] for word in ("stale", "retrying")))
        await terminal.sees("▸ web", "● 1/1 ready", "data of")
        api.start()
        await terminal.until(lambda: "● live" in terminal.lines()[1])
        api.delete("deployments", "web")
        await terminal.until(lambda: not terminal.main.table.rows)


async def test_another_namespace_and_a_kind_that_was_not_watched(
    api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "other"}}
    api.put(deployment("web"), deployment("api", namespace="other"), {**settings, "data": {"password": "hunter2"}})
    async with opened(api, tmp_path, monkeypatch) as terminal:
        controller = cast(ClusterController, terminal.main.controller)
        await terminal.sees("▸ web")
        controller.navigation.to_namespace("other")
        await terminal.until(lambda: titles(terminal) == ["▸ api"])
        assert api.count("GET", "/configmaps") == 0
        controller.navigation.to_kind("cm")
        await terminal.sees("settings")
        await terminal.press("y")
        await terminal.sees("kind: ConfigMap", "password:", "••••")
        assert not terminal.shows("hunter2")
        await terminal.press("escape")
        await terminal.until(lambda: terminal.app.screen is terminal.main)
        await terminal.press("escape")
        await terminal.until(lambda: titles(terminal) == ["▸ api"])


def test_without_a_kubeconfig_nothing_of_a_cluster_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys, devenv.tui.app, devenv.tui.main_screen\n"
        "from argparse import Namespace\n"
        "from devenv.cli import tui\n"
        "from devenv.core.settings import Config\n"
        "class Given: config, environ = Config(), {'HOME': sys.argv[1]}\n"
        "assert tui._connector(Given, None) is None\n"
        "known = 'devenv.core.kube_settings'\n"
        "print([name for name in sys.modules if 'kube' in name.replace(known, '') or 'joined' in name])"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_with_a_kubeconfig_the_first_paint_waits_for_no_client(tmp_path: Path) -> None:
    code = (
        "import sys, devenv.tui.kube.controller, devenv.tui.kube.connect\n"
        "late = ('kubernetes', 'yaml', 'devenv.backends.kube', 'devenv.control.kube', 'devenv.tui.kube.live')\n"
        "print([name for name in sys.modules if name.startswith(late)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.strip() == "[]"
