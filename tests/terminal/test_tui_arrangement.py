"""Services as the tree of what they depend on, and by profile: each once, in its place, and who holds the others up."""

from __future__ import annotations

import pytest

from devenv.core.model import Beyond, Health, Seen, State
from devenv.tui.table.arrangement import Place, held_up, tree
from tests.terminal.conftest import Opening
from tests.terminal.scripted import container
from tests.terminal.test_tui_table_model import Model


def test_what_is_needed_stands_below_who_needs_it_once() -> None:
    made = tree({"web": ("api", "db"), "api": ("db", "cache"), "db": (), "cache": (), "docs": ("gone",)})
    assert list(made.items()) == [
        ("docs", Place(0, 0)),
        ("web", Place(1, 0)),
        ("api", Place(2, 1)),
        ("cache", Place(3, 2)),
        ("db", Place(4, 2)),
    ]
    circle = tree({"a": ("b",), "b": ("a",), "c": ()})
    assert {name: place.depth for name, place in circle.items()} == {"c": 0, "a": 0, "b": 1}


@pytest.mark.parametrize(
    ("facts", "holds"),
    [
        ({"health": Health.STARTING}, True),
        ({"health": Health.UNHEALTHY}, True),
        ({"state": State.RESTARTING}, True),
        ({"state": State.EXITED, "exit_code": 1}, True),
        ({"state": State.EXITED, "exit_code": 143}, False),  # stopped: nobody waits
        ({"state": State.EXITED, "exit_code": 0}, False),
        ({"state": State.ABSENT}, False),
        ({}, False),
    ],
)
def test_a_service_that_is_late_holds_up_all_that_is_not_ready_above_it(facts: dict[str, object], holds: bool) -> None:
    services = {
        "db": [container("db", **({"state": State.RUNNING} | facts))],  # type: ignore[arg-type]  # facts of the case
        "api": [container("api", state=State.CREATED, depends_on=("db",))],
        "web": [container("web", state=State.ABSENT, depends_on=("api",))],
        "docs": [container("docs", depends_on=("db",))],  # it runs
    }
    assert held_up(services).get("db") == (["api", "web"] if holds else None)


@pytest.mark.parametrize("long_names", [False, True])
def test_lines_follow_the_tree_and_what_changes_in_it(long_names: bool) -> None:
    model = Model(long_names=long_names)
    services = {"web": ("api",), "api": ("db",), "db": (), "docs": ()}
    model.take(*(Seen("docker", container(name, depends_on=needs)) for name, needs in services.items()))
    model.take(Seen("docker", container("old", beyond=Beyond.ORPHAN)))
    assert model.names == ["api", "db", "docs", "web", "old (orphan)"]
    model.board.arrange_next()
    assert model.names == ["docs", "web", "└ api", "└ db", "old (orphan)"]
    assert [row.service for row in model.board.lines] == ["docs", "web", "api", "db", "old"]
    assert model.board.lines.find(model.board.lines[3].path) == 3
    model.take(Seen("docker", container("db", health=Health.STARTING)))
    model.take(Seen("docker", container("api", state=State.CREATED, depends_on=("db",))))
    assert model.names[3] == "└ db ◂ holds up api"
    model.take(Seen("docker", container("docs", depends_on=("web",))))
    assert model.names == ["docs", "└ web", "└ api", "└ db ◂ holds up api", "old (orphan)"]
    model.board.filter_text = "db"
    assert model.names == ["└ db ◂ holds up api"]
    model.board.filter_text = ""
    model.board.sort_by("age", ("service", "age"))
    assert "└ api" not in model.names
    assert model.board.services.arrangement == ""


async def test_one_key_goes_from_names_to_the_tree_to_profiles(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live(container("a", profiles=("tools",)), container("web", depends_on=("db",)), container("db"))
        await terminal.until(lambda: terminal.main.table.selected)
        await terminal.press("j", "a")  # the cursor stays on its service
        await terminal.until(lambda: [row.service for row in terminal.main.table.rows] == ["a", "web", "db"])
        await terminal.until(lambda: terminal.main.selected and terminal.main.selected.service == "db")
        await terminal.sees("└ db")
        await terminal.press("a")
        await terminal.sees("a · tools")
        assert [row.service for row in terminal.main.table.rows] == ["db", "web", "a"]
        await terminal.press("a")
        await terminal.until(lambda: [row.service for row in terminal.main.table.rows] == ["a", "db", "web"])
        assert not terminal.shows("tools")
