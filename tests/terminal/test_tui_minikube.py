"""minikube in the terminal, with a stand-in for its program: how its cluster is, what is done to it, what is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from devenv.backends.compose import ComposeOptions
from devenv.cli import main
from devenv.control.audit import AuditLog
from devenv.control.guard import Guard
from devenv.control.kube.minikube import MinikubeControl
from devenv.core.kube_settings import KubeSettings
from devenv.tui.app import DevenvApp
from devenv.tui.dialogs import ConfirmScreen
from devenv.tui.kube import minikube as panel
from devenv.tui.kube import navigation
from devenv.tui.kube.connect import KubeConnector
from fakes import minikube
from fakes.api_server import ApiServer, deployment
from tests.terminal.conftest import Opening
from tests.terminal.driving import Driver
from tests.terminal.scripted import ScriptedBackend, ScriptedControl, container

SIZES = KubeSettings(minikube=("--cpus=4", "--memory=6g", "--addons=metrics-server"))


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with ApiServer() as made:
        made.controllers.start()
        made.put(deployment("web", replicas=2))
        yield made


class Machine:
    """A laptop: a folder with the program and its state, and where its kubeconfig is."""

    def __init__(self, folder: Path, api: ApiServer, state: str) -> None:
        self.bin, self.kubeconfig = folder / "bin", folder / "config"
        self.environ = {
            "PATH": f"{self.bin}:/usr/bin:/bin",
            "HOME": str(folder),
            "KUBECONFIG": str(self.kubeconfig),
        }
        minikube.install(self.bin, api.kubeconfig(folder / "made"), self.kubeconfig, state=state)
        if state == "OK":
            self.kubeconfig.write_bytes((folder / "made").read_bytes())

    @property
    def calls(self) -> list[str]:
        """What was done; looks are left out."""
        lines = (self.bin / "calls").read_text("utf-8").splitlines()
        return [line for line in lines if " list" not in line]


@asynccontextmanager
async def on(machine: Machine, monkeypatch: pytest.MonkeyPatch, *, read_only: bool = False) -> AsyncIterator[Driver]:
    """The terminal on a Compose project of that machine."""
    monkeypatch.setattr(panel, "LOOK", 0.2)
    monkeypatch.setattr(navigation, "LOOK", 0.2)
    monkeypatch.setattr("textual.app.wait_for_idle", lambda _: asyncio.sleep(0.02))
    guard = Guard(AuditLog(machine.bin / "audit.jsonl"), read_only=read_only, source="tui")
    connector = KubeConnector(SIZES, machine.environ, ComposeOptions(directory=str(machine.bin)), guard)
    backend, control = ScriptedBackend(), ScriptedControl()

    def connect() -> KubeConnector | None:
        return connector if machine.kubeconfig.is_file() else None

    app = DevenvApp(
        *(backend, control),
        title="shop",
        theme="dark",
        cluster=connect(),
        find_cluster=connect,
        find_minikube=lambda: MinikubeControl(guard, machine.environ, SIZES),
    )
    async with app.run_test(size=(140, 40), notifications=True) as pilot:
        terminal = Driver(app, pilot, backend, control)
        backend.live(container("web", image="shop-web:dev"))
        await terminal.sees("● live", "web")
        yield terminal
        for source in reversed(app.feed.sources):
            source.stop()


async def say(terminal: Driver, words: str) -> None:
    """Type a command."""
    await terminal.press("colon")
    line = terminal.main.command_line
    assert line is not None
    await terminal.until(lambda: line.display)
    line.input.value = words
    await terminal.press("enter")


async def test_a_cluster_is_made_in_the_terminal_and_is_there_once_it_runs(
    api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(tmp_path, api, "")
    (machine.bin / "hold").touch()
    async with on(machine, monkeypatch) as terminal:
        await say(terminal, "minikube")
        await terminal.sees("act on minikube (no cluster)?", "makes a cluster: --cpus=4 --memory=6g")
        await terminal.press("enter")
        await terminal.sees("minikube start minikube  0/1  Initial Minikube Setup minikube v1.37.0 on Debian 12")
        await say(terminal, "minikube delete")
        await terminal.sees("Minikube delete: minikube?")
        await terminal.sees("Type minikube to confirm:")
        await terminal.confirm(*"minikube", "enter")
        await terminal.sees("minikube delete was not begun: minikube start is")
        (machine.bin / "hold").unlink()
        await terminal.sees("⎈ minikube/default", "● compose ● 2/2 k8s")
        assert len(terminal.main.changes.announced) == 1, "it is said once, not again on the new screen"
        assert machine.calls == [f"--profile=minikube start {' '.join(SIZES.minikube)} --output=json"]
        entries = AuditLog(machine.bin / "audit.jsonl").entries()
        assert ("minikube start minikube", "done") in [(entry.what, entry.verdict) for entry in entries]
        assert "minikube --profile=minikube start --cpus=4" in entries[0].command


async def test_each_state_has_its_line_and_its_acts(
    api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(tmp_path, api, "OK")
    async with on(machine, monkeypatch) as terminal:
        await terminal.sees("⎈ minikube/default")
        assert not terminal.shows("docker, 4 CPUs"), "what runs is shown by what is in it"
        await say(terminal, "minikube pause")
        await terminal.sees("⎈ minikube  paused  docker, 4 CPUs, 6.0 GiB")
        await say(terminal, "minikube")
        await terminal.sees("act on minikube (paused)?", "unpause  its processes go on", "stop", "delete")
        await terminal.press("enter")
        await terminal.until(lambda: not terminal.shows("docker, 4 CPUs"))
        await say(terminal, "minikube stop")
        await terminal.sees("Stops the cluster minikube")
        await terminal.confirm("y")
        await terminal.sees("⎈ minikube  stopped")
        with ApiServer() as other:  # as with the docker driver: the same cluster has another port then
            other.controllers.start()
            other.put(deployment("moved", replicas=1))
            other.kubeconfig(machine.bin / "kubeconfig")
            await say(terminal, "minikube start")
            await terminal.sees("✓ minikube start minikube: done", other.url, "moved")
            assert machine.calls[-1] == "--profile=minikube start --output=json", "it keeps its size"
            for source in reversed(terminal.app.feed.sources):
                source.stop()


async def test_addons_and_images(api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(tmp_path, api, "OK")
    async with on(machine, monkeypatch) as terminal:
        await terminal.sees("⎈ minikube/default")
        await say(terminal, "minikube addons")
        await terminal.sees("disable metrics-server  enabled", "enable ingress")
        await terminal.press(*"ingr", "enter")
        await terminal.sees("✓ minikube addons enable ingress: done")
        await say(terminal, "minikube image")
        await terminal.sees("image to load into minikube?", "shop-web:dev")
        await terminal.press("enter")
        await terminal.sees("✓ minikube image load shop-web:dev: done")
        await say(terminal, "minikube tunnel")
        await terminal.sees("In a shell: devenv minikube tunnel")
    assert machine.calls == [
        "--profile=minikube addons enable ingress",
        "--profile=minikube image load shop-web:dev",
    ]


async def test_deleting_says_what_is_in_it_and_no_key_pressed_at_once_confirms_it(
    api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(tmp_path, api, "OK")
    monkeypatch.setattr(ConfirmScreen, "READ", 60.0)
    async with on(machine, monkeypatch) as terminal:
        await terminal.sees("⎈ minikube/default")
        for keys in (("enter", "enter"), ("space", "y"), ("y", "enter"), tuple("minikube")):
            await say(terminal, "minikube delete")
            await terminal.sees("In it are 2 pods in 1 namespace, and 0 claims")
            await terminal.press(*keys)
            assert isinstance(terminal.app.screen, ConfirmScreen), keys
            await terminal.press("escape")
            await terminal.until(lambda: terminal.app.screen is terminal.main)
        assert machine.calls == []
        monkeypatch.setattr(ConfirmScreen, "READ", 0.5)
        await say(terminal, "minikube delete")
        await terminal.confirm(*"minikub", "enter")
        await terminal.sees("exactly as it stands here")
        await terminal.press("e", "enter")
        await terminal.sees("✓ minikube delete minikube: done")
    assert machine.calls == ["--profile=minikube delete --output=json"]


async def test_a_start_that_fails_or_is_cancelled_says_so_in_minikubes_words(
    api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(tmp_path, api, "Stopped")
    async with on(machine, monkeypatch) as terminal:
        await terminal.sees("⎈ minikube  stopped")
        (machine.bin / "fails").touch()
        await say(terminal, "minikube start")
        await terminal.sees("minikube start failed: Docker has 1 CPU", "→ Give Docker more CPUs")
        (machine.bin / "fails").unlink()
        (machine.bin / "hold").touch()
        await say(terminal, "minikube start")
        await terminal.sees("Initial Minikube Setup")
        await terminal.press("x")
        await terminal.sees("minikube was interrupted")
        await terminal.sees("⎈ minikube  stopped")


async def test_what_cannot_be_done_says_why(api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(tmp_path, api, "Stopped")
    async with on(machine, monkeypatch, read_only=True) as terminal:
        await terminal.sees("⎈ minikube  stopped")
        await say(terminal, "minikube start")
        await terminal.sees("minikube start was refused", "devenv is in read-only mode")
        assert machine.calls == []


async def test_without_the_program_it_says_so(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live(container("web"))
        await say(terminal, "minikube start")
        await terminal.sees("minikube is not installed, or not on PATH", "minikube.sigs.k8s.io")


def test_the_command_gives_a_new_cluster_the_same_sizes(
    api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(tmp_path, api, "")
    (tmp_path / "devenv.toml").write_text('[kubernetes]\nminikube = ["--cpus=4", "--memory=6g"]\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for name, value in machine.environ.items():
        monkeypatch.setenv(name, value)
    assert main(["minikube", "start", "--memory=8g"]) == 0
    assert main(["minikube", "start"]) == 0
    assert machine.calls == [
        "--profile=minikube start --memory=8g --cpus=4",
        "--profile=minikube start",
    ]
