"""Store calls off the event loop: gates for the API, and threads apart for probes and metrics, which never queue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

from anyio import CapacityLimiter, to_thread

from docindexer.gate import Gate
from docindexer.store import Counts, Store, StoreUnavailable

P = ParamSpec("P")
T = TypeVar("T")


class StoreThreads:
    """Runs a store's blocking calls."""

    def __init__(self, store: Store, reads: Gate, writes: Gate, ready_timeout: float) -> None:
        self.store = store
        self._reads = reads
        self._writes = writes
        self._counters = CapacityLimiter(1)
        self._checkers = CapacityLimiter(1)
        self._ready_timeout = ready_timeout
        self._checking: asyncio.Task[None] | None = None

    async def read(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a reading call of the store; raises StoreUnavailable when too many others wait."""
        return await self._reads.run(partial(call, *args, **kwargs))

    async def write(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a changing call of the store; raises StoreUnavailable when too many others wait."""
        return await self._writes.run(partial(call, *args, **kwargs))

    async def counts(self) -> Counts:
        """Count what the store holds, past those who wait."""
        return await to_thread.run_sync(self.store.counts, limiter=self._counters)

    async def check(self) -> None:
        """Check the store within the ready timeout; raises StoreUnavailable.

        Requests that come while a check runs share its outcome, and a check that hangs keeps one thread, not more.
        """
        task = self._checking
        if task is None or task.done():
            # The store's own limit is the shorter one, so that its reason is heard before ours.
            check = partial(self.store.check, self._ready_timeout * 0.8)
            task = self._checking = asyncio.create_task(_checked(check, self._checkers))
        done, _ = await asyncio.wait({task}, timeout=self._ready_timeout)
        if not done:
            raise StoreUnavailable("store_silent", f"the store did not answer within {self._ready_timeout:g} s")
        task.result()


async def _checked(check: Callable[[], None], limiter: CapacityLimiter) -> None:
    await to_thread.run_sync(check, limiter=limiter)
