"""What the terminal tells of itself: in its diagnostics, and to `devenv doctor --self` through its socket."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from devenv.backends import counters
from devenv.cli import main
from devenv.tui.diagnostics import Meter, ask_all
from tests.terminal.conftest import Opening
from tests.terminal.real_terminal import RealTerminal
from tests.terminal.scripted import container


async def test_the_diagnostics_measure_while_they_are_open_and_no_longer(
    opened: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings: list[float] = []
    read = Meter.read

    def counted(meter: Meter) -> object:
        figures = read(meter)
        readings.append(figures.seconds)
        return figures

    monkeypatch.setattr(Meter, "read", counted)
    monkeypatch.setattr("devenv.tui.dialogs.WINDOW", 0.05)
    async with opened() as terminal:
        await terminal.live(container("web"))
        assert readings == []
        counters.called_engine("GET", "/v1.48/containers/abc/stats?one-shot=1")
        await terminal.press("colon", *"diagnostics", "enter")
        await terminal.sees("diagnostics", "stats containers", "event lag", "open streams", "MainThread")
        await terminal.until(lambda: len(readings) > 3)
        await terminal.press("escape")
        await terminal.until(lambda: terminal.app.screen is terminal.main)
        for _ in range(20):  # a reading that had begun may end
            count = len(readings)
            await terminal.pilot.pause(0.3)
            if len(readings) == count:
                break
        assert len(readings) == count


@pytest.mark.terminal
def test_the_doctor_asks_an_open_terminal_one_that_hangs_and_one_that_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / ("a state folder whose path is longer than the address of a socket may be" * 2)
    monkeypatch.setenv("XDG_STATE_HOME", str(state))
    assert main(["doctor", "--self"]) == 1
    assert "no terminal of devenv is open" in capsys.readouterr().err
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "compose.yaml").write_text("name: shop\nservices: {web: {image: localhost/none}}\n")
    root = str(Path(__file__).parents[2])
    environ = {**os.environ, "DOCKER_HOST": f"unix://{tmp_path}/none", "PYTHONPATH": root, "KUBECONFIG": "/none"}
    with RealTerminal([sys.executable, "-m", "devenv"], folder, environ=environ) as terminal:
        terminal.until(lambda: list(state.rglob("*.sock")))
        assert main(["doctor", "--self", "--json"]) == 0
        (told,) = json.loads(capsys.readouterr().out)["terminals"]
        assert told["pid"] == terminal.pid
        assert Path(told["project"]) == folder
        assert told["seconds"] >= 1
        assert told["memory"] > 10_000_000
        assert {"docker-events", "MainThread"} <= told["threads"].keys()
        assert told["reconnects"].get("docker-events", 0) + told["drains"] > 0
        assert oct(next(state.rglob("*.sock")).parent.stat().st_mode)[-3:] == "700"

        os.kill(terminal.pid, signal.SIGSTOP)
        assert ask_all(0.2) == ([], [terminal.pid])
        os.kill(terminal.pid, signal.SIGKILL)
        terminal.until(lambda: terminal.ended)
        assert ask_all() == ([], [])
        assert list(state.rglob("*.sock")) == []


def test_kinds_of_requests_are_few() -> None:
    before = counters.calls.copy()
    for number in range(3):
        counters.called_engine("GET", f"/v1.48/containers/{number}/json")
        counters.called_engine("DELETE", f"/containers/{number}")
        counters.called_engine("POST", f"/containers/{number}/start")
        counters.called_cluster("GET", f"/api/v1/namespaces/{number}/pods/{number}/log", watch=False)
        counters.called_cluster("GET", f"/apis/apps/v1/namespaces/{number}/deployments", watch=True)
        counters.called_cluster("GET", f"/api/v1/namespaces/{number}", watch=False)
    counters.called_engine("GET", "/containers/json?all=1")
    counters.called_engine("GET", "/events")
    counters.called_cluster("GET", "/version", watch=False)
    assert counters.calls - before == {
        **dict.fromkeys(("inspect containers", "remove containers", "start containers"), 3),
        **dict.fromkeys(("get pods/log", "watch deployments", "get namespaces"), 3),
        **dict.fromkeys(("list containers", "get events", "get API"), 1),
    }
