"""The whole program in a folder without a Compose project: on a chosen cluster, else the reason why not."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from devenv.core.errors import ProjectError
from fakes.api_server import ApiServer, deployment
from tests.terminal.real_terminal import RealTerminal

DEVENV = (sys.executable, "-m", "devenv")

pytestmark = pytest.mark.terminal


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with ApiServer() as made:
        made.controllers.start()
        made.put(deployment("web"))
        yield made


def environ_of(folder: Path, kubeconfig: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("DEVENV_", "COMPOSE_", "KUBE"))}
    return {**kept, "HOME": str(folder), "XDG_STATE_HOME": str(folder / "state"), "KUBECONFIG": str(kubeconfig)}


@pytest.mark.parametrize(("context", "options"), [("minikube", ()), ("prod", ("--context", "prod"))])
def test_it_opens_on_the_cluster_alone(api: ApiServer, tmp_path: Path, context: str, options: tuple[str, ...]) -> None:
    environ = environ_of(tmp_path, api.kubeconfig(tmp_path / "config", context))
    with RealTerminal([*DEVENV, *options], tmp_path, environ=environ) as terminal:
        terminal.until(lambda: f"⎈ {context}/default" in terminal.text() and "▸ web" in terminal.text())
        assert "no Compose project" in terminal.text()
        terminal.send("U")
        terminal.until(lambda: "There is no Compose project here" in terminal.text())
        terminal.send("q")
        terminal.until(lambda: terminal.ended)
        assert terminal.exit_code == 0


def test_a_current_context_that_is_not_on_the_list_is_offered_and_not_opened_unasked(
    api: ApiServer, tmp_path: Path
) -> None:
    environ = environ_of(tmp_path, api.kubeconfig(tmp_path / "config", "prod"))
    with RealTerminal(DEVENV, tmp_path, environ=environ) as terminal:
        terminal.until(lambda: "Which context?" in terminal.text() and "READ-ONLY" in terminal.text())
        assert not api.requests, "nobody asked for it yet"
        terminal.send("\r")
        terminal.until(lambda: "⎈ prod/default" in terminal.text() and "▸ web" in terminal.text())
        terminal.send("q")
        terminal.until(lambda: terminal.ended)
        assert terminal.exit_code == 0


def test_choosing_no_context_leaves_a_screen_that_says_how(api: ApiServer, tmp_path: Path) -> None:
    environ = environ_of(tmp_path, api.kubeconfig(tmp_path / "config", "prod"))
    with RealTerminal(DEVENV, tmp_path, environ=environ) as terminal:
        terminal.until(lambda: "Which context?" in terminal.text())
        terminal.send("\x1b")
        terminal.until(lambda: "no cluster is shown; :ctx chooses one" in terminal.text())


def test_without_a_project_and_any_context_the_project_is_asked_for(tmp_path: Path) -> None:
    with RealTerminal(DEVENV, tmp_path, environ=environ_of(tmp_path, tmp_path / "none")) as terminal:
        terminal.until(lambda: terminal.ended)
        assert terminal.exit_code == ProjectError.exit_code
        assert "No Compose file found" in terminal.text()
        assert "devenv --context NAME" in " ".join(terminal.text().split())


def test_a_context_that_does_not_exist_is_told_before_the_screen_opens(api: ApiServer, tmp_path: Path) -> None:
    environ = environ_of(tmp_path, api.kubeconfig(tmp_path / "config"))
    with RealTerminal([*DEVENV, "--context", "minicube"], tmp_path, environ=environ) as terminal:
        terminal.until(lambda: terminal.ended)
        assert terminal.exit_code == 2
        assert "has no context 'minicube'" in terminal.text()
