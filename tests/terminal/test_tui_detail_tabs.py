"""The tabs of the details: what each shows, read in a thread when it is opened, masked and harmless."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from devenv.backends.look import Image, Layer, Mount, Network, Processes, Variable
from devenv.core import masking
from devenv.core.masking import MASK, KnownValues
from devenv.core.model import Happening, HealthCheck, Port, Sample, State
from devenv.tui.detail_tabs import REVEALED
from devenv.tui.tabs import TABS
from tests.terminal.cluster import cluster_opened, pod
from tests.terminal.conftest import Opening
from tests.terminal.driving import Driver
from tests.terminal.scripted import container

HOSTILE = "[/foo] \x1b[2Jgone ‮evil"


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masking, "KNOWN", KnownValues())


async def open_tab(terminal: Driver, name: str) -> None:
    """Press ] until that tab is open."""
    assert terminal.main.panes.tabs is not None
    for _ in TABS:
        if terminal.main.panes.tabs.tab.name == name:
            return
        await terminal.press("right_square_bracket")
    raise AssertionError(f"no tab {name}")


async def test_the_brackets_go_round_the_tabs(opened: Opening) -> None:
    async with opened(size=(140, 40)) as terminal:
        await terminal.live(container("web"))
        await terminal.sees("Overview  Figures  Health")
        seen = []
        for _ in TABS:
            await terminal.press("right_square_bracket")
            assert terminal.main.panes.tabs is not None
            seen.append(terminal.main.panes.tabs.tab.name)
        assert sorted(seen) == sorted(tab.name for tab in TABS)
        await terminal.press("left_square_bracket")
        await terminal.sees("Nothing happened while devenv looked")


async def test_nothing_is_read_before_a_tab_is_opened_and_each_says_how_it_goes(opened: Opening) -> None:
    async with opened(size=(140, 40)) as terminal:
        await terminal.live(container("web"))
        await terminal.settle()
        assert terminal.backend.looks == []
        terminal.backend.look_gate = threading.Event()
        terminal.backend.seen_of["networks"] = []
        await open_tab(terminal, "networks")
        await terminal.sees("reading…")
        terminal.backend.look_gate.set()
        await terminal.sees("It is in no network.")
        await open_tab(terminal, "image")
        await terminal.sees("✗ no image of shop-web-1", "→ Look again.")
        assert ("shop-web-1", "processes") not in terminal.backend.looks[:2]


async def test_the_environment_is_masked_and_shown_for_a_moment(
    opened: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devenv.tui.detail_tabs.REVEALED", 0.5)
    assert REVEALED == 10.0
    async with opened(size=(140, 40)) as terminal:
        terminal.backend.seen_of["environment"] = [
            Variable("", "API_TOKEN", "pl4nted-value"),
            Variable("", "DATABASE_URL", "postgres://shop:pl4nted-two@db/shop"),
            Variable("", "HOSTILE", HOSTILE, "image"),
            Variable("", "COLOR", "turquoise"),
        ]
        await terminal.live(container("web"))
        await open_tab(terminal, "environment")
        await terminal.sees(
            f"API_TOKEN={MASK}", f"postgres://shop:{MASK}@db", "COLOR=turquoise", "HOSTILE=[/foo] gone evil  image"
        )
        assert "pl4nted" not in terminal.text()
        terminal.main.panes.go_to_detail()
        await terminal.press("V")
        await terminal.sees("API_TOKEN=pl4nted-value", "shop:pl4nted-two@db", "shown for 10 seconds")
        await terminal.sees(f"API_TOKEN={MASK}")
        assert "pl4nted" not in terminal.text()


async def test_mounts_networks_processes_and_image(opened: Opening) -> None:
    async with opened(size=(160, 40)) as terminal:
        terminal.backend.seen_of |= {
            "mounts": [Mount("/data", "volume", "shop_data", size=88 * 1024**2), Mount("/src", "bind", HOSTILE, True)],
            "networks": [Network("shop_default", ("172.20.0.3/16",), "172.20.0.1", ("web", "shop-web-1"))],
            "processes": Processes(
                ("UID", "PID", "STIME", "CMD"), (("root", "41", "10:01", f"serve --password=hunter2 {HOSTILE}"),)
            ),
            "image": [
                Image(
                    "shop-web:latest",
                    "sha256:abc",
                    120 * 1024**2,
                    time.time() - 7200,
                    "linux/arm64",
                    (Layer("COPY . /app", 2048, time.time() - 7200), Layer("ENV A=1", 0, time.time() - 86400)),
                )
            ],
        }
        await terminal.live(container("web"))
        await open_tab(terminal, "mounts")
        await terminal.sees(
            "/data  88 MiB", "volume shop_data", "/src  size not counted, read only", "bind [/foo] gone evil"
        )
        await open_tab(terminal, "networks")
        await terminal.sees("shop_default", "172.20.0.3/16", "web, shop-web-1")
        await open_tab(terminal, "processes")
        await terminal.sees("UID   PID  CMD", f"root  41   serve --password={MASK} [/foo]")
        await open_tab(terminal, "image")
        await terminal.sees(
            "(2h ago)", "120 MiB", "linux/arm64", "2 STEPS, 1 LAYERS", "2.0 KiB   2h  COPY . /app", "1d  ENV A=1"
        )


async def test_inspect_is_a_tree_that_is_searched(opened: Opening) -> None:
    async with opened(size=(140, 40)) as terminal:
        terminal.backend.seen_of["inspect"] = {
            "Id": "abc",
            "Config": {"Env": ["API_TOKEN=pl4nted", "COLOR=blue"], "Labels": {"maker": HOSTILE}},
            "Mounts": [{"name": "data", "Size": 7}],
        }
        await terminal.live(container("web"))
        await open_tab(terminal, "inspect")
        await terminal.sees("Id: abc", "Config  {…} 2", "Mounts  […] 1")
        assert "COLOR" not in terminal.text(), "what is folded is not there yet"
        await terminal.press("tab", "tab")
        await terminal.until(lambda: terminal.app.focused is terminal.main.panes.detail.content)  # type: ignore[union-attr]
        await terminal.press("slash", *"blue", "enter")
        await terminal.sees("COLOR=blue", f"API_TOKEN={MASK}")
        await terminal.press("escape")
        assert "pl4nted" not in terminal.text()
        await terminal.press("left_square_bracket")
        await terminal.sees("It has no ports.")


async def test_health_keeps_what_the_engine_forgets(opened: Opening) -> None:
    now = time.time()
    checks = [HealthCheck(now - 90 + 10 * n, now - 89.9 + 10 * n, n % 2, f"check {n} says [/x]\n") for n in range(8)]
    async with opened(size=(140, 50)) as terminal:
        await terminal.live(container("web", checks=tuple(checks[:5])))
        await open_tab(terminal, "health")
        await terminal.sees("HEALTH CHECKS  ✓✗✓✗✓", "check 4 says [/x]")
        await terminal.live(container("web", checks=tuple(checks[3:])))
        await terminal.sees("HEALTH CHECKS  ✓✗✓✗✓✗✓✗", "✗ failed (1)", "check 7 says [/x]")
        await terminal.sees("no HTTP probe: no port of it is reached from here")


class _Web(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.server.paths.append(self.path)  # type: ignore[attr-defined]
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        """Print nothing."""


@pytest.fixture
def web() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Web)
    server.paths = []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


async def test_probes_are_made_only_while_they_are_seen(
    opened: Opening, web: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devenv.tui.probes.EVERY", 0.1)
    port = Port(80, "tcp", web.server_port, "127.0.0.1")
    async with opened(size=(140, 40), probe_paths=lambda: {"web": "/ready"}) as terminal:
        await terminal.live(container("web", ports=(port,)))
        await terminal.settle()
        assert web.paths == []  # type: ignore[attr-defined]
        await open_tab(terminal, "health")
        await terminal.sees(f"GET http://127.0.0.1:{web.server_port}/ready", "✓ 200", "median")
        monkeypatch.setattr(_Web, "status", 503)
        await terminal.sees("✗ 503")
        await terminal.press("left_square_bracket")
        asked = len(web.paths)  # type: ignore[attr-defined]
        await terminal.pilot.pause(1.5)
        assert len(web.paths) <= asked + 1  # type: ignore[attr-defined]
        assert set(web.paths) == {"/ready"}  # type: ignore[attr-defined]


async def test_a_port_opens_in_the_browser(opened: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    ports = (Port(80, "tcp", 8080, "0.0.0.0"), Port(53, "udp", 5353, "0.0.0.0"), Port(9000, "tcp"))
    async with opened(size=(140, 40)) as terminal:
        urls: list[str] = []
        monkeypatch.setattr(terminal.app, "open_url", urls.append)
        await terminal.live(container("web", ports=ports))
        await open_tab(terminal, "ports")
        await terminal.sees("http://localhost:8080/  o opens it", "not published")
        terminal.main.panes.go_to_detail()
        await terminal.press("o")
        await terminal.until(lambda: urls == ["http://localhost:8080/"])


async def test_a_port_opens_from_its_row_and_where_there_is_none_nothing_is_offered(
    opened: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(size=(80, 24)) as terminal:
        urls: list[str] = []
        monkeypatch.setattr(terminal.app, "open_url", urls.append)
        await terminal.live(container("api"), container("web", ports=(Port(80, "tcp", 8080, "0.0.0.0"),)))
        await terminal.until(lambda: terminal.main.selected)
        await terminal.press("b", "j", "b")
        await terminal.until(lambda: urls == ["http://localhost:8080/"])


async def test_figures_over_minutes_with_the_age_of_an_old_sample(opened: Opening) -> None:
    async with opened(size=(160, 50)) as terminal:
        await terminal.live(container("web"))
        now = time.time()
        for turn in range(100):
            at, cpu = now - 200 + 2 * turn, 0.2 if turn % 2 else 0.4
            io = {"received": turn * 2048, "sent": 0, "read": turn * 4096, "written": 0}
            terminal.backend.emit(Sample("docker/web-1", at, cpu, 64 * 2**20, 128 * 2**20, **io, processes=7))
            await terminal.until(lambda turn=turn: len(terminal.main.board.history("docker/web-1")) == turn + 1)
        await open_tab(terminal, "figures")
        await terminal.sees(
            "3 min 18 s shown", "20.0%", "64 MiB of 128 MiB (50%)", "1.0 KiB/s, 198 KiB in all", "2.0 KiB/s"
        )
        await terminal.sees("processes  7", "CPU, %", "MEMORY, MiB, limit ┄")
        assert terminal.backend.stats == {"docker/web-1"}
        terminal.backend.emit(Sample("docker/web-1", now - 100, 0.2, 1, None))
        await terminal.sees("measured 1m ago")


async def test_the_selected_row_is_sampled_also_where_only_its_details_are_on_screen(opened: Opening) -> None:
    async with opened(size=(140, 40)) as terminal:
        await terminal.live(container("web"), container("api"))
        await terminal.until(lambda: terminal.backend.stats == {"docker/web-1", "docker/api-1"})
        terminal.main.panes.go_to_detail()
        await terminal.press("z")
        await terminal.until(lambda: len(terminal.backend.stats) == 1)


async def test_events_as_a_line_of_time(opened: Opening) -> None:
    async with opened(size=(140, 40)) as terminal:
        await terminal.live(container("web", state=State.EXITED))
        terminal.backend.emit(
            Happening("docker/web-1", time.time() - 1800, "start", "started"),
            Happening("docker/web-1", time.time() - 5, "die", f"exited with 3 {HOSTILE}"),
        )
        await open_tab(terminal, "events")
        await terminal.sees("-1 h", "▲ die  exited with 3 [/foo]", "· start  started")


async def test_an_object_of_a_cluster_has_the_same_tabs() -> None:
    async with cluster_opened(size=(160, 50)) as terminal:
        raw = {
            "kind": "Pod",
            "spec": {"containers": [{"name": "web", "ports": [{"name": "http", "containerPort": 8000}]}]},
            "status": {"conditions": [{"type": "Ready", "status": "False", "reason": "NotYet", "message": HOSTILE}]},
        }
        terminal.cluster.seen_of |= {
            "inspect": raw,
            "environment": [Variable("web", "API_TOKEN", None, "Secret shop, token"), Variable("web", "A", "1")],
        }
        terminal.cluster.live(pod("web-1"))
        await terminal.sees("web-1")
        await open_tab(terminal, "health")
        await terminal.sees("Ready", "False", "NotYet [/foo] gone evil")
        await open_tab(terminal, "environment")
        await terminal.sees("API_TOKEN=(not known here)  Secret shop, token", "A=1")
        await open_tab(terminal, "ports")
        await terminal.sees("8000/TCP  http", "f forwards one")
        await open_tab(terminal, "inspect")
        await terminal.sees("kind: Pod", "spec  {…} 1")
