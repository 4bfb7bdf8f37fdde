"""What PostgreSQL acknowledged is there: after a crash of the server, and after a failover to its standby."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from _backend import wait_for
from _postgres import USER, Postgres, postgres, server_folder
from docindexer.postgres_conninfo import Address
from docindexer.postgres_store import PostgresStore
from docindexer.store import NewDocument, StoreUnavailable

WRITERS = 3


@dataclass
class Writers:
    """Threads that add documents, whatever happens, and keep what was acknowledged and what was not."""

    store: PostgresStore
    collection: int
    acknowledged: dict[int, str] = field(default_factory=dict)
    refused: list[StoreUnavailable] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def write(self, name: str) -> None:
        number = 0
        while not self.stop.is_set():
            number += 1
            title = f"{name}-{number}"
            try:
                (made,) = self.store.add_documents(self.collection, [NewDocument(title, "needle")])
            except StoreUnavailable as error:
                self.refused.append(error)
                time.sleep(0.02)
            else:
                self.acknowledged[made] = title

    def until(self, more: int) -> None:
        goal = len(self.acknowledged) + more
        wait_for(lambda: len(self.acknowledged) >= goal, "writes", lambda: str(self.refused[-3:]), seconds=20)

    def check(self, store: PostgresStore) -> None:
        """Fail when something that was acknowledged is not there or not found."""
        for number, title in self.acknowledged.items():
            assert store.document(self.collection, number).title == title
        assert store.search("needle", self.collection, 1, 0).total >= len(self.acknowledged)


@contextmanager
def writing(store: PostgresStore) -> Iterator[Writers]:
    writers = Writers(store, store.create_collection("c").id)
    threads = [threading.Thread(target=writers.write, args=(f"w{at}",)) for at in range(WRITERS)]
    for thread in threads:
        thread.start()
    try:
        yield writers
    finally:
        writers.stop.set()
        for thread in threads:
            thread.join(20)
    assert not any(thread.is_alive() for thread in threads)


@contextmanager
def closing(store: PostgresStore) -> Iterator[PostgresStore]:
    try:
        yield store
    finally:
        store.close()


def test_acknowledged_documents_survive_a_killed_server() -> None:
    with postgres() as server, closing(server.store(wait_ms=500, timeout_ms=2000)) as store:
        with writing(store) as writers:
            for _ in range(2):
                writers.until(more=30)
                server.crash()
                server.start()
            writers.until(more=10)
        assert writers.refused, "it was killed while it was written to"
        writers.check(store)


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Postgres, Postgres]]:
    """A primary that waits for its standby, and the standby."""
    with postgres(synchronous_standby_names="replica") as primary, server_folder() as folder:
        standby = Postgres(folder)
        standby.copy_of(primary, "replica")
        try:
            standby.start()
            synchronous = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
            wait_for(lambda: primary.execute(synchronous) == [(1,)], "the standby to stream", standby.log)
            yield primary, standby
        finally:
            standby.stop(signal.SIGQUIT)


def test_a_standby_is_recognised(pair: tuple[Postgres, Postgres]) -> None:
    primary, standby = pair
    with closing(primary.store()) as store:
        store.open()
    alone = PostgresStore(Address(standby.url(), primary.password_file), wait_ms=500)
    with closing(alone):
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="it is a standby") as raised:
                alone.check(1)
            assert raised.value.code == "store_read_only"


def terminated(primary: Postgres) -> None:
    wait = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    wait_for(lambda: primary.execute(wait), "a commit that waits", primary.log)


@pytest.mark.parametrize("end", [None, terminated])
def test_a_commit_that_did_not_reach_the_standby_is_not_acknowledged(
    pair: tuple[Postgres, Postgres], end: Callable[[Postgres], None] | None
) -> None:
    """PostgreSQL itself reports such a commit as done, with a warning."""
    primary, standby = pair
    with closing(primary.store(timeout_ms=1000)) as store:
        store.open()
        with standby.frozen():
            ender = threading.Thread(target=end, args=(primary,)) if end else threading.Thread()
            ender.start()
            with pytest.raises(StoreUnavailable) as raised:
                store.create_collection(f"not acknowledged {end}")
            assert raised.value.code == "store_outcome_unknown"
            ender.join(10)
            with pytest.raises(StoreUnavailable):
                store.check(0.5)
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
            assert primary.execute(waiting) == [(0,)], "what was given up does not occupy the server"
        wait_for(lambda: works(store), "the standby to catch up", standby.log)


def works(store: PostgresStore) -> bool:
    try:
        store.check(1)
    except StoreUnavailable:
        return False
    return True


def test_a_failover_loses_nothing_that_was_acknowledged(pair: tuple[Postgres, Postgres]) -> None:
    primary, standby = pair
    both = f"postgresql://{USER}@127.0.0.1:{primary.port},127.0.0.1:{standby.port}/postgres"
    with closing(PostgresStore(Address(both, primary.password_file), wait_ms=500, timeout_ms=2000)) as store:
        with writing(store) as writers:
            writers.until(more=50)
            primary.crash()
            standby.promote()
            writers.until(more=20)
        assert writers.refused, "the primary was killed while it was written to"
        writers.check(store)
