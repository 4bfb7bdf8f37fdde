"""A cluster that comes while devenv shows a Compose project alone, with a real API server behind the kubeconfig."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from devenv.backends.compose import ComposeOptions
from devenv.control.guard import Guard
from devenv.core.kube_settings import KubeSettings
from devenv.core.model import LogLine
from devenv.tui.app import DevenvApp
from devenv.tui.kube.connect import KubeConnector
from fakes.api_server import ApiServer, deployment
from tests.terminal.driving import Driver
from tests.terminal.scripted import ScriptedBackend, ScriptedControl, container


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with ApiServer() as made:
        made.controllers.start()
        made.put(deployment("web", replicas=2))
        yield made


@asynccontextmanager
async def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Driver, Path]]:
    """The terminal on a project, and where its kubeconfig would be."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    kubeconfig = tmp_path / "config"
    environ = {"KUBECONFIG": str(kubeconfig), "HOME": str(tmp_path)}
    connector = KubeConnector(KubeSettings(), environ, ComposeOptions(directory=str(tmp_path)), Guard())
    backend, control = ScriptedBackend(), ScriptedControl()

    def find() -> KubeConnector | None:
        return connector if kubeconfig.is_file() else None

    app = DevenvApp(backend, control, title="shop", theme="dark", find_cluster=find)
    monkeypatch.setattr("textual.app.wait_for_idle", lambda _: asyncio.sleep(0.02))
    async with app.run_test(size=(140, 40), notifications=True) as pilot:
        yield Driver(app, pilot, backend, control), kubeconfig
        for source in reversed(app.feed.sources):
            source.stop()


async def test_it_appears_beside_the_project_with_all_that_was_there(
    api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with alone(tmp_path, monkeypatch) as (terminal, kubeconfig):
        await terminal.live(container("api"), container("web"))
        await terminal.select("web")
        await terminal.app.look_for_cluster()
        assert not terminal.app.main.in_cluster
        api.kubeconfig(kubeconfig)
        await terminal.app.look_for_cluster()
        assert terminal.app.screen is terminal.app.main
        await terminal.sees("⎈ minikube/default", "● compose ● 2/2 k8s", "api")
        await terminal.until(lambda: "LOGS web" in terminal.main.log_pane.title.text)
        await terminal.until(lambda: container("web").key in terminal.backend.logs)
        terminal.backend.emit(LogLine(container("web").key, 1.0, "stdout", "still here"))
        await terminal.sees("still here")
        await terminal.press("r", "up", "up", "enter")
        await terminal.until(lambda: terminal.control.requested)
        await terminal.press("r", "k", "enter")
        await terminal.sees("✓ restart deployment/default/web: done")


async def test_it_waits_for_what_is_open(api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with alone(tmp_path, monkeypatch) as (terminal, kubeconfig):
        await terminal.live(container("web"))
        api.kubeconfig(kubeconfig)
        await terminal.press("question_mark")
        await terminal.until(lambda: terminal.app.screen is not terminal.main)
        await terminal.app.look_for_cluster()
        assert not terminal.app.main.in_cluster
        await terminal.press("escape")
        await terminal.until(lambda: terminal.app.screen is terminal.main)
        await terminal.app.look_for_cluster()
        await terminal.sees("⎈ minikube/default")


async def test_two_looks_at_once_attach_it_once(
    api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with alone(tmp_path, monkeypatch) as (terminal, kubeconfig):
        await terminal.live(container("web"))
        api.kubeconfig(kubeconfig)
        before = terminal.app.main
        await asyncio.gather(terminal.app.look_for_cluster(), terminal.app.look_for_cluster())
        await terminal.sees("⎈ minikube/default")
        assert terminal.app.main is not before
        assert terminal.app.screen is terminal.app.main


async def test_a_screen_that_tests_belong_to_stays_and_says_so(
    api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with alone(tmp_path, monkeypatch) as (terminal, kubeconfig):
        await terminal.live(container("web"))
        terminal.main.changes.before_leaving.append(lambda: False)
        api.kubeconfig(kubeconfig)
        await terminal.app.look_for_cluster()
        await terminal.sees("a cluster came", "Open devenv anew to see it")
        assert not terminal.app.main.in_cluster
