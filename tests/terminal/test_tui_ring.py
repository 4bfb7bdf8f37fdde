"""What crashes while nobody looks at the terminal rings, as set."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from textual.drivers.headless_driver import HeadlessDriver

from devenv.core.model import State
from devenv.core.settings import Ring, TerminalSettings
from tests.terminal.conftest import Opening
from tests.terminal.scripted import container


@pytest.mark.parametrize(
    ("setting", "written"),
    [("off", []), ("bell", ["\x07"]), ("notify", ["\x1b]9;shop-api-1 crashed\x07"])],
)
async def test_a_crash_rings_once_while_nobody_looks(
    opened: Opening, setting: Ring, written: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    async with opened(settings=TerminalSettings(ring=setting)) as terminal:
        monkeypatch.setattr(HeadlessDriver, "write", lambda driver, data: told.append(data))
        web, api = container("web"), container("api")
        await terminal.live(web, api)
        terminal.backend.live(replace(web, state=State.EXITED, exit_code=1), api)
        await terminal.sees("✗ exited 1")
        assert told == [], "somebody looks"
        terminal.app.app_focus = False
        gone = replace(api, state=State.EXITED, exit_code=137)
        for state in (gone, replace(gone, restarts=1), replace(gone, state=State.RUNNING, exit_code=None)):
            terminal.backend.live(web, state)
            await terminal.until(lambda state=state: terminal.main.store.resource(state.key) == state)
        terminal.backend.live(web, replace(api, state=State.EXITED, exit_code=143))  # somebody stopped it
        await terminal.sees("exited 143")
        assert told == written
