"""Texts that attack a terminal, a markup parser or a layout, and records that carry them in every field."""

from __future__ import annotations

import sys
import time
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from devenv.core import model
from devenv.core.model import Phase, State

CSI = "\x1b[31;1m\x1b[2J\x1b[999D"
OSC_52 = "\x1b]52;c;aGFja2Vk\x07"
OSC_TITLE = "\x1b]0;hacked\x1b\\"
MARKUP = "[/foo] [@click=app.quit]go[/] [bold red]"

# Each begins with a word of its own, by which the screen is searched; the rest must be harmless.
TEXTS = {
    "markup": f"mk{MARKUP}",
    "escape": f"es{CSI}{OSC_52}{OSC_TITLE}\x1bP1$r\x1b\\\x9b31m\x9d0;hacked\x9c",
    "wide": "wd漢字かな\u0301\u200d\U0001f468\u200d\U0001f469\u200d\U0001f467\ufe0f\u200b",
    "order": "rl\u202egnirts\u2066\u2069\u200f",
    "lines": "ln\r\n\t\v\f\x00\x07\b\x7f\u2028end",
    "broken": "br\udcff\ud800",
}


def hostile(kind: type[Any], text: str, **fixed: Any) -> Any:
    """Make a record of that kind with the text in every field that takes text."""
    hints = get_type_hints(kind, vars(sys.modules[kind.__module__]))
    values = {field.name: _value(hints[field.name], text) for field in msgspec.structs.fields(kind)}
    return kind(**(values | fixed))


def _value(hint: Any, text: str) -> Any:
    if hint is str:
        return text
    if hint in (int, float, bool):
        return hint(1)
    if isinstance(hint, type) and issubclass(hint, str):
        return next(iter(hint))
    if get_origin(hint) is UnionType:
        return _value(next(part for part in get_args(hint) if part is not type(None)), text)
    if get_origin(hint) is tuple:
        parts = [part for part in get_args(hint) if part is not Ellipsis]
        values = tuple(_value(part, text) for part in parts)
        return values if Ellipsis not in get_args(hint) else values * 2
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return hostile(hint, text)
    raise AssertionError(f"no idea how to fill {hint}")


def changes(text: str, backend: str = "docker") -> list[model.Change]:
    """Records of all kinds with the text in all their fields."""
    now = time.time()
    resources = tuple(
        hostile(model.Resource, text, key=f"k{number}", state=state, number=number, one_off=number % 2 == 0)
        for number, state in enumerate(sorted(State, key=lambda state: state in (State.ABSENT, State.PROVIDED)))
    )
    made: list[model.Change] = [
        model.Snapshot(backend, resources),
        hostile(model.Connection, text, backend=backend, state=model.ConnectionState.FAILED),
        hostile(model.Sample, text, key="k1", at=now),
        hostile(model.Action, text, id=1, phase=Phase.RUNNING, at=now),
        hostile(model.Progress, text, parent_id=""),
        hostile(model.Action, text, id=1, phase=Phase.FAILED, at=now),
    ]
    for number in range(len(resources)):
        made.append(hostile(model.Happening, text, key=f"k{number}", at=now))
        made += [
            hostile(model.LogLine, text, key=f"k{number}", stream=stream) for stream in ("stdout", "stderr", "devenv")
        ]
        made.append(hostile(model.LogsDropped, text, key=f"k{number}", count=3))
    return made
