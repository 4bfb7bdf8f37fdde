"""`devenv/tui/feed.py`: a key comes to the screen before more of a flood does, and no flood waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from devenv.core.model import Change, LogLine
from devenv.tui.feed import FLOOD, Feed

LINE = LogLine("a", 1.0, "stdout", "x")


class Source:
    def __init__(self) -> None:
        self.wake: Callable[[], None] = lambda: None
        self.waiting: list[Change] = []

    def start(self, wake: Callable[[], None]) -> None:
        self.wake = wake

    def stop(self) -> None:
        self.wake = lambda: None

    def drain(self) -> list[Change]:
        waiting, self.waiting = self.waiting, []
        return waiting

    def emit(self, count: int) -> None:
        self.waiting += [LINE] * count
        self.wake()


async def test_somebody_who_types_all_the_time_holds_a_flood_back_but_does_not_stop_it() -> None:
    source, came = Source(), asyncio.Event()
    counts: list[int] = []

    def deliver(changes: list[Change]) -> None:
        counts.append(len(changes))
        came.set()

    async def next_batch(count: int, *, typing: bool = False) -> float:
        came.clear()
        began = asyncio.get_running_loop().time()
        source.emit(count)
        while not came.is_set():
            if typing:
                feed.hold()
            await asyncio.sleep(0.001)
        return asyncio.get_running_loop().time() - began

    feed = Feed([source], deliver)
    feed.start()
    await next_batch(1)
    await next_batch(1, typing=True)
    await next_batch(FLOOD + 1)
    held = await next_batch(FLOOD + 1, typing=True)
    assert held > 0.2, "three drains would have been made"
    assert counts == [1, 1, FLOOD + 1, FLOOD + 1]
    feed.stop()
