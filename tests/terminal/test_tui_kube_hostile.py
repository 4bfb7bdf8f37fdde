"""Outside text of a cluster stays text: in every field of every record, in every view."""

from __future__ import annotations

import time

import pytest
from msgspec.structs import replace

from devenv.core import model
from devenv.core.model import Runtime, State
from tests.terminal.cluster import NAME, cluster_opened
from tests.terminal.hostile import TEXTS, hostile
from tests.terminal.test_tui_hostile import check_harmless


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_every_field_is_shown_as_text(kind: str, size: tuple[int, int]) -> None:
    text = TEXTS[kind]
    async with cluster_opened(size=size) as terminal:
        one = replace(hostile(model.Resource, text), runtime=Runtime.KUBERNETES, owner="", namespace="shop", kind="pod")
        made = [replace(one, key=f"kubernetes:{state}", state=state) for state in State]
        top = replace(one, key="kubernetes:top", kind="deployment", state=State.RUNNING)
        terminal.cluster.live(*made)
        terminal.cluster.live(replace(top, ready=(1, 2)), kind="deployments")
        terminal.cluster.emit(
            hostile(model.Connection, text, backend=NAME, state=model.ConnectionState.FAILED),
            hostile(model.Happening, text, key="kubernetes:top", at=time.time()),
            hostile(model.Scaling, text, key="kubernetes:top", at=time.time()),
        )
        terminal.session.objects[top.name] = {
            "kind": text,
            text: text,
            "metadata": {"name": text, "labels": {text: text}},
        }
        await terminal.until(lambda: terminal.main.table.rows and terminal.controller.cluster_banner.display)
        terminal.main.table.action_edge(-1)
        for keys in (
            ("right",),
            ("down", "down"),
            ("home",),
            ("y",),
            ("escape", "d"),
            ("escape", "o"),
            ("escape", "e"),
        ):
            await terminal.press(*keys)
            await terminal.pilot.pause()
            check_harmless(terminal.lines(), size[0])
        for keys in (("escape", "R"), ("escape", "c"), ("escape", "f"), ("escape", "colon", "p")):
            await terminal.press(*keys)
            await terminal.pilot.pause()
            check_harmless(terminal.lines(), size[0])
        await terminal.press("escape")
        await terminal.order("pods")
        await terminal.sees(text[:2])
        check_harmless(terminal.lines(), size[0])
