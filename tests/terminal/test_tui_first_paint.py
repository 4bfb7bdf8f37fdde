"""What is known before the first frame is in it, and the backend is asked for nothing before that is painted."""

from __future__ import annotations

import pytest

from devenv.tui.app import DevenvApp
from tests.terminal.driving import Driver
from tests.terminal.scripted import ScriptedBackend, ScriptedControl, container


async def test_the_first_frame_has_what_was_read_before(monkeypatch: pytest.MonkeyPatch) -> None:
    backend, control = ScriptedBackend(), ScriptedControl()
    backend.live(container("db"), container("web"))
    app = DevenvApp(backend, control, title="shop", theme="dark")
    first: list[tuple[str, list[tuple[str, object]]]] = []
    begin = DevenvApp._begin

    async def look_and_begin(app: DevenvApp) -> None:
        first.append((terminal.text(), list(backend.asked)))
        await begin(app)

    monkeypatch.setattr(DevenvApp, "_begin", look_and_begin)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        terminal = Driver(app, pilot, backend, control)
        await terminal.until(lambda: first and backend.logs)
        ((text, asked),) = first
        assert "2 running" in text.splitlines()[0]
        assert all(name in text for name in ("db", "web", "running"))
        assert asked == [], "a log that is followed connects, and the first paint would wait for it"
        await terminal.until(lambda: {"stats", "logs"} <= {what for what, _ in backend.asked})
        assert [asked for asked in backend.asked if asked[0] == "logs"] == [("logs", backend.logs)], "asked once"
