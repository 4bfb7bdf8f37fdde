"""Deployments in the terminal: what one would change, the question, its stages as they go, and the way back."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from devenv.backends.kube.kinds import Kind
from devenv.control.deploy.outcome import Status
from devenv.runs.deployment import Deploys, DeployState
from devenv.runs.identity import StreamedRun
from devenv.tui.runs.deploy import stage_parts, summary_parts
from fakes.api_server import ApiServer
from tests.kube.deploying import image_of
from tests.kube.test_deploy_command import OVERLAY, WEB
from tests.terminal.conftest import Opening
from tests.terminal.driving import Driver
from tests.terminal.scripted import container


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with ApiServer() as made:
        made.served.add(Kind("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy"))
        made.controllers.start(pace=0.02)
        yield made


@pytest.fixture
def folder(api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one overlay, and a cluster for it."""
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "kustomization.yaml").write_text(OVERLAY)
    (tmp_path / "dev" / "web.yaml").write_text(WEB)
    (tmp_path / "devenv.toml").write_text('[manifests.overlays.dev]\npath = "dev"\n')
    monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig(tmp_path / "config")))
    return tmp_path


@asynccontextmanager
async def on(opened: Opening, folder: Path, *overlays: str) -> AsyncIterator[Driver]:
    def start(words: Sequence[str]) -> StreamedRun:
        return StreamedRun([sys.executable, "-m", "devenv", "deploy", *words], folder, os.environ, "the deployment")

    deploys = Deploys(overlays, ("--wait", "--rollback-on-failure"), start)
    async with opened(deploy=lambda: deploys) as terminal:
        await terminal.live(container("web"))
        yield terminal


async def test_it_asks_with_what_it_changes_shows_each_stage_and_goes_back(
    opened: Opening, api: ApiServer, folder: Path
) -> None:
    async with on(opened, folder, "dev") as terminal:
        await terminal.press("Y")
        await terminal.sees("Which overlay to deploy?", "dev")
        await terminal.press("enter")
        await terminal.sees("Deploy: dev in default of minikube?", "created Service web", "created Deployment web")
        assert api.get("deployments", "web") is None
        await terminal.press("y")  # at once: nobody can have read it
        await terminal.press("n")
        await terminal.sees("dev: planned", "what it would change", "✓ diff")
        assert api.get("deployments", "web") is None
        await terminal.press("a")
        await terminal.sees("Deploy: dev in default of minikube?")
        await terminal.confirm("y")
        await terminal.press("escape")
        await terminal.sees("dev: succeeded", "Y shows it")
        await terminal.press("Y")
        await terminal.sees("✓ render", "✓ apply", "2 of 2 objects changed", "✓ wait", "✓ record")
        (folder / "dev" / "web.yaml").write_text(WEB.replace("web:1", "web:2"))
        await terminal.press("a")
        await terminal.sees("changed Deployment web")
        await terminal.confirm("y")
        await terminal.sees("dev: succeeded")
        assert image_of(api) == "web:2"
        await terminal.press("B")
        await terminal.sees("Go back: dev in default of minikube?", "changed Deployment web")
        await terminal.confirm("y")
        await terminal.sees("dev, back: succeeded", "✓ go back")
        assert image_of(api) == "web:1"


async def test_one_that_is_cancelled_or_never_begins_says_why(opened: Opening, api: ApiServer, folder: Path) -> None:
    async with on(opened, folder, "dev", "nowhere") as terminal:
        await terminal.press("colon", *"deploy nowhere", "enter")
        await terminal.sees("There is no overlay 'nowhere'", "nowhere: failed")
        api.controllers.stop()  # nothing becomes ready
        await terminal.press("n")
        await terminal.sees("Which overlay to deploy?")
        await terminal.press("enter")
        await terminal.sees("created Deployment web")
        await terminal.confirm("y")
        await terminal.sees("◐ wait")
        await terminal.press("q")
        await terminal.sees("dev is still being deployed", "It goes on when devenv is left")
        await terminal.confirm("n")
        await terminal.press("x")
        await terminal.sees("dev: cancelled", "dev is applied, and left as it is")
        await terminal.press("question_mark")
        await terminal.sees("Deployment", "go back: to the revision before; asks")


async def test_without_an_overlay_it_says_where_they_are_named(opened: Opening, folder: Path) -> None:
    async with on(opened, folder) as terminal:
        await terminal.press("Y")
        await terminal.sees("devenv.toml names no overlay", ":deploy FOLDER")


def test_the_state_follows_the_lines() -> None:
    state = DeployState(("dev", "--wait"), 100.0)
    stage: dict[str, Any] = {"phase": "stage", "name": "render", "status": "done", "seconds": 0.5, "text": "2 objects"}
    state.take([{"phase": "begins", "name": "render"}, {**stage, "details": ["a detail"]}], 101.0)
    state.take([{"phase": "begins", "name": "wait"}, {"phase": "waiting", "words": ["1 old pod"]}], 102.0)
    assert (state.stages[0].status, state.running, state.waiting) == (Status.DONE, "wait", ("1 old pod",))
    text = "".join(text for text, _ in stage_parts(state, 105.0))
    assert "a detail" in text
    assert "◐ wait" in text
    assert "1 old pod" in text
    assert "".join(part for part, _ in summary_parts(state, 105.0)) == "◐ dev: deploys wait 5.0 s"
    change = {"kind": "Deployment", "namespace": "", "name": "web", "action": "changed"}
    outcome = {"verdict": "rolled back", "reason": "wait: it crashes", "hint": "", "changes": [change], "notes": ["n"]}
    state.take([{"phase": "ended", "outcome": {**outcome, "namespace": "a", "context": "b", "revision": "c"}}], 106.0)
    state.end(14, 107.0, "")
    text = "".join(text for text, _ in stage_parts(state, 107.0))
    assert "wait: it crashes" in text
    assert "what it changed\n  changed Deployment web" in text
    assert summary_parts(state, 107.0)[0] == ("dev: rolled back ", "bold $warning")
