"""The store tells exactly what changed since a version, and nothing where nothing changed."""

from __future__ import annotations

from msgspec.structs import replace

from devenv.core.model import (
    Action,
    Connection,
    ConnectionState,
    Gone,
    Happening,
    Health,
    LogLine,
    Phase,
    Progress,
    Resource,
    Runtime,
    Sample,
    Seen,
    Snapshot,
    State,
)
from devenv.core.state import HAPPENINGS_KEPT, STRANGERS_KEPT, Delta, Store


def container(key: str, **changes: object) -> Resource:
    made = Resource(key=key, runtime=Runtime.COMPOSE, kind="container", name=key, service=key, state=State.RUNNING)
    return replace(made, **changes)  # type: ignore[arg-type]  # the tests name real fields


def test_a_snapshot_replaces_what_its_backend_told_before_and_nothing_else() -> None:
    store = Store()
    store.apply([Snapshot("docker", (container("a"), container("b"))), Seen("kubernetes/x", container("pod"))])
    before = store.version
    store.apply([Snapshot("docker", (container("b", health=Health.HEALTHY), container("c")))])
    delta = store.since(before)
    assert delta.removed == ("a",)
    assert [resource.key for resource in delta.updated] == ["b", "c"]
    assert set(store.resources) == {"b", "c", "pod"}


def test_equal_records_change_nothing() -> None:
    store = Store()
    live = Connection("docker", ConnectionState.LIVE, since=1.0)
    sample = Sample("a", 5.0, 0.1, 100, None)
    store.apply([Seen("docker", container("a")), live, sample])
    version = store.version
    store.apply([Snapshot("docker", (container("a"),)), Seen("docker", container("a")), live, sample])
    assert store.version == version
    assert store.since(version) == Delta(version)
    assert store.since(version).empty


def test_what_came_and_went_in_between_is_only_gone() -> None:
    store = Store()
    store.apply([Seen("docker", container("a")), Gone("docker", "a")])
    assert store.since(0).updated == ()
    assert store.since(0).removed == ("a",)
    store.apply([Seen("docker", container("a"))])
    assert [resource.key for resource in store.since(0).updated] == ["a"]
    assert store.since(0).removed == ()


def test_gone_of_an_unknown_key_is_no_change() -> None:
    store = Store()
    store.apply([Gone("docker", "never"), LogLine("a", None, "stdout", "text")])
    assert store.version == 0


def test_a_late_sample_does_not_bring_a_resource_back() -> None:
    store = Store()
    store.apply([Seen("docker", container("a")), Gone("docker", "a"), Sample("a", 1.0, 0.5, 1, None)])
    assert store.sample("a") is None
    assert store.since(0).samples == ()


def test_happenings_are_told_once_and_bounded() -> None:
    store = Store()
    store.apply([Seen("docker", container("a")), Happening("a", 1.0, "start", "started")])
    version = store.version
    store.apply([Happening("a", 2.0, "die", "exited 137")])
    assert [happening.action for happening in store.since(version).happenings] == ["die"]
    assert [happening.action for happening in store.happenings("a")] == ["start", "die"]
    store.apply(Happening("a", float(n), "die", "again") for n in range(500))
    assert len(store.happenings("a")) == HAPPENINGS_KEPT


def test_happenings_of_what_is_not_there_do_not_pile_up() -> None:
    store = Store()
    store.apply(Happening(f"gone-{n}", float(n), "destroy", "removed") for n in range(1000))
    kept = sum(1 for n in range(1000) if store.happenings(f"gone-{n}"))
    assert kept <= STRANGERS_KEPT + 1
    assert store.happenings("gone-999")


def test_a_new_action_begins_with_empty_progress() -> None:
    store = Store()
    store.apply([Action(1, "up", (), Phase.RUNNING, 1.0), Progress("Container a", "Created", "done", action=1)])
    store.apply([Action(1, "up", (), Phase.DONE, 2.0)])
    assert set(store.progress(1)) == {"Container a"}
    store.apply([Action(2, "restart", ("a",), Phase.RUNNING, 3.0)])
    assert not store.progress(2)
    assert not store.progress(1)
    assert [action.phase for action in store.since(0).actions] == [Phase.DONE, Phase.RUNNING]


def test_the_newest_connection_state_counts() -> None:
    store = Store()
    store.apply([Connection("docker", ConnectionState.CONNECTING), Connection("docker", ConnectionState.LIVE)])
    assert [connection.state for connection in store.since(0).connections] == [ConnectionState.LIVE]
    assert store.connection("docker") == Connection("docker", ConnectionState.LIVE)
