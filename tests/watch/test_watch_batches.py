"""When a batch ends, and what is in it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devenv.watch.batches import Batch, Batches
from devenv.watch.observe import Kind, PathEvent


def changed(path: str, kind: Kind = Kind.CHANGED) -> PathEvent:
    return PathEvent(path, kind, is_folder=False)


def test_a_batch_ends_when_it_is_quiet() -> None:
    batches = Batches(quiet=0.1, longest=5)
    began = time.monotonic()
    for number in range(5):
        batches.add(changed(f"/{number}"))
        batches.add(changed("/same"))
        time.sleep(0.02)
    found = batches.take()
    assert found is not None
    assert sorted(found.paths) == ["/0", "/1", "/2", "/3", "/4", "/same"]
    assert time.monotonic() - began >= 0.18
    assert found.saved == found.noticed, "what is not there was not saved at a time"


@contextmanager
def given_up(batches: Batches) -> Iterator[None]:
    """Let a batch that never ends be None instead of a test that never does."""
    timer = threading.Timer(20, batches.close)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def test_a_continuous_writer_does_not_put_it_off() -> None:
    now = [100.0]
    batches = Batches(quiet=0.1, longest=0.4, clock=lambda: now[0])
    ended = threading.Event()

    def write() -> None:
        while not ended.wait(0.005):  # whatever else the machine does, a write each 0.02 s
            batches.add(changed("/log"))
            now[0] += 0.02

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with given_up(batches):
            found = [batches.take(), batches.take()]
    finally:
        ended.set()
        writer.join()
    assert [batch and list(batch.paths) for batch in found] == [["/log"], ["/log"]]
    assert now[0] >= 100.0 + 2 * 0.4


def test_the_default_quiet_is_short_and_has_a_cap() -> None:
    now = [100.0]
    batches = Batches(clock=lambda: now[0])
    taken: list[Batch | None] = []
    with given_up(batches):
        batches.add(changed("/a"))
        now[0] += 0.1  # the quiet period is at most 0.1 s
        taken.append(batches.take())
        for _ in range(34):  # never quiet for 0.05 s, for 1.02 s
            batches.add(changed("/b"))
            now[0] += 0.03
        taken.append(batches.take())
    assert [batch and list(batch.paths) for batch in taken] == [["/a"], ["/b"]]


def test_the_first_event_of_a_path_says_whether_it_was_there(tmp_path: Path) -> None:
    batches = Batches(quiet=0)
    batches.add(changed("/new", Kind.CREATED))
    batches.add(changed("/new", Kind.DELETED))
    batches.add(changed("/old", Kind.DELETED))
    batches.add(changed("/old", Kind.CREATED))
    found = batches.take()
    assert found is not None
    assert {path: event.kind for path, event in found.paths.items()} == {"/new": Kind.CREATED, "/old": Kind.DELETED}
    file = tmp_path / "file"
    file.write_text("x")
    batches.add(changed(str(file)))
    saved = batches.take()
    assert saved is not None
    assert saved.saved == os.lstat(file).st_ctime <= saved.noticed


def test_a_poke_and_the_end_are_heard_at_once() -> None:
    batches = Batches()
    taken: list[Batch | None] = []

    def take() -> None:
        while (batch := batches.take()) is not None:
            taken.append(batch)
        taken.append(None)

    taker = threading.Thread(target=take)
    taker.start()
    batches.poke()
    deadline = time.monotonic() + 10
    while not taken and time.monotonic() < deadline:
        time.sleep(0.01)
    assert taken[0] is not None
    assert not taken[0].paths
    batches.close()
    taker.join(10)
    assert taken[1:] == [None]
