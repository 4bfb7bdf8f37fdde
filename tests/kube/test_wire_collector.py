"""The garbage collector rests while lists are decoded, and only then."""

from __future__ import annotations

import gc
import time
from concurrent.futures import ThreadPoolExecutor

from devenv.backends.kube.client import KubeClient, collection_paused
from fakes.api_server import ApiServer, pod
from tests.kube.seen import Watched, wait_for


def test_the_collector_rests_during_lists_and_works_afterwards(api: ApiServer, client: KubeClient) -> None:
    """It would walk every decoded object again and again: three quarters of the time of a long list."""
    api.put(*(pod(f"web-{number:04}") for number in range(600)))
    assert gc.isenabled()
    seen = Watched(client)
    told: list[bool] = []
    page = seen.list_watch._on_page
    seen.list_watch._on_page = lambda items, first: (told.append(gc.isenabled()), page(items, first))[1]
    with seen:
        seen.live()
        assert told == [False, False]
        wait_for(gc.isenabled)


def test_the_collector_works_again_after_overlapping_pauses() -> None:
    def busy(number: int) -> None:
        for _ in range(50):
            with collection_paused():
                assert not gc.isenabled()
                time.sleep(0.0001 * number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(busy, range(8)))
    assert gc.isenabled()
    gc.disable()
    try:
        with collection_paused():
            pass
        assert not gc.isenabled(), "who had disabled it keeps it so"
    finally:
        gc.enable()
