"""The lines of the table without a terminal: one model for Compose alone and beside a cluster."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from devenv.core.model import Beyond, Change, Gone, Health, Port, Sample, Seen, State
from devenv.core.state import Store
from devenv.tui.table.arrangement import Order, begun, next_order, turned
from devenv.tui.table.board import Board
from devenv.tui.table.cells import CELLS
from devenv.tui.table.lines import GroupKey
from tests.terminal.cluster import pod, workload
from tests.terminal.scripted import container


class Model:
    def __init__(self, *, long_names: bool) -> None:
        self.store = Store()
        self.board = Board(self.store, long_names=long_names)
        self.board.move("shop")
        self._version = 0

    def take(self, *changes: Change) -> None:
        self.store.apply(changes)
        delta = self.store.since(self._version)
        self._version = delta.version
        self.board.take(delta)

    @property
    def names(self) -> list[str]:
        return [row.cells[0].text.strip() for row in self.board.lines]


@pytest.fixture(params=[False, True], ids=["compose", "both"])
def model(request: pytest.FixtureRequest) -> Model:
    return Model(long_names=request.param)


def test_what_is_no_part_of_the_project_stands_last(model: Model) -> None:
    old = container("api-old", beyond=Beyond.ORPHAN)
    run = container("", name="shop-web-run-1", key="docker/run", one_off=True)
    model.take(
        Seen("docker", old), Seen("docker", run), Seen("docker", container("web")), Seen("docker", container("api"))
    )
    assert model.names == ["api", "web", "shop-web-run-1 (one-off)", "api-old (orphan)"]


@pytest.mark.parametrize("needle", ["8000", "unhealthy", "WEB", "localhost/own"])
def test_a_filter_looks_at_what_a_line_says(model: Model, needle: str) -> None:
    ports = (Port(80, "tcp", 8000, "127.0.0.1"),)
    web = container("web", ports=ports, health=Health.UNHEALTHY, image="localhost/own:1")
    model.take(Seen("docker", container("api", image="localhost/other:1")), Seen("docker", web))
    model.board.filter_text = needle
    assert model.names == ["web"]
    model.take(Seen("docker", container("api", image="localhost/other:1", ports=ports)))
    assert model.names == (["api", "web"] if needle == "8000" else ["web"]), "what changed is looked at again"
    model.board.filter_text = ""
    assert model.names == ["api", "web"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("web|api", ["api", "web"]),
        ("/^WEB$|^db/", ["db-1"]),  # an upper-case letter: the case counts
        ("/^web$|^db/", ["db-1", "web"]),
        (r"db-\d", ["db-1"]),
        ("label:tier=front", ["api", "web"]),
        ("label:tier=front api", ["api"]),
        ("label:team", ["web"]),
        ("label:tier", ["api", "db-1", "web"]),
        ("label:tier=", []),
        ("label:team= w.b", ["web"]),
        ("label:tier=front label:team", ["web"]),
    ],
)
def test_a_filter_takes_expressions_and_labels_of_both_runtimes(text: str, names: list[str]) -> None:
    model = Model(long_names=True)
    model.take(
        Seen("docker", container("web", labels=(("team", ""), ("tier", "front")))),
        Seen("k", workload("api", labels=(("tier", "front"),))),
        Seen("k", workload("db-1", labels=(("tier", "back"),))),
    )
    model.board.filter_text = text
    assert [name.removeprefix("▾ ") for name in model.names] == names
    model.board.show_kind("deployment", all_namespaces=False)
    assert model.names == [name for name in names if name != "web"]


def test_a_workload_that_gets_another_label_comes_and_goes() -> None:
    model = Model(long_names=True)
    api = workload("api", labels=(("tier", "back"),))
    model.take(Seen("k", api))
    model.board.filter_text = "label:tier=front"
    assert model.names == []
    model.take(Seen("k", replace(api, labels=(("tier", "front"),))))
    assert model.names == ["▾ api"]
    model.take(Seen("k", api))
    assert model.names == []


def test_an_expression_that_is_none_is_told_and_loses_nothing(model: Model) -> None:
    model.take(Seen("docker", container("api-old", beyond=Beyond.ORPHAN)), Seen("docker", container("web")))
    model.board.filter_text = "we"
    model.board.filter_text = "we("
    assert (model.names, model.board.filter_text) == (["web"], "we")
    assert "'we(' is not a regular expression" in model.board.filter_problem
    model.board.filter_text = "(orphan)"
    assert (model.names, model.board.filter_problem) == (["api-old (orphan)"], "")


def test_an_expression_that_takes_too_long_is_stopped_and_told(model: Model) -> None:
    model.take(Seen("docker", container("web")), Seen("docker", container("api")))
    slow = r"(o+)+(o+)+(o+)+\Wx$"
    model.board.filter_text = slow
    model.take(Seen("docker", container("web", image="o" * 4000)))
    assert "takes too long" in model.board.filter_problem
    assert "web" in model.names, "it may be what is looked for"
    model.board.filter_text = "api"
    assert (model.names, model.board.filter_problem) == (["api"], "")
    model.board.filter_text = slow
    assert (model.names, model.board.filter_text) == (["api"], "api")
    assert "takes too long" in model.board.filter_problem


def test_a_container_that_is_made_anew_keeps_its_line(model: Model) -> None:
    model.take(Seen("docker", container("api")), Seen("docker", container("web")))
    before = model.board.lines[1]
    model.take(Gone("docker", before.key), Seen("docker", container("web", key="docker/new", container_id="new")))
    after = model.board.lines[1]
    assert (after.path, after.key) == (before.path, "docker/new")


def test_a_sample_makes_one_line_again(model: Model) -> None:
    model.take(*(Seen("docker", container(f"s{number}", state=State.RUNNING)) for number in range(5)))
    rows = list(model.board.lines)
    built = model.board.lines.rows_built
    model.take(Sample(rows[2].key, 1.0, 0.5, 1000, None))
    assert [new is old for new, old in zip(model.board.lines, rows, strict=True)] == [True, True, False, True, True]
    assert model.board.lines.rows_built == built + 1


def test_a_line_of_several_resources_has_the_key_of_none() -> None:
    model = Model(long_names=True)
    deployment = workload("api")
    model.take(Seen("k", deployment), Seen("k", pod("api")))
    assert (model.board.lines[0].key, model.board.lines[0].group) == (deployment.key, None)
    model.take(Seen("docker", container("api")))
    joint = model.board.lines[0]
    assert (joint.key, joint.group, joint.source) == ("", GroupKey("api", ""), GroupKey("api", ""))
    assert list(model.board.measured(joint)) == ["docker/api-1", deployment.key]
    model.take(Gone("k", deployment.key), Gone("k", pod("api").key))
    assert (model.board.lines[0].key, model.board.lines[0].group) == ("docker/api-1", None)


def test_another_service_of_the_cluster_is_not_the_project_s() -> None:
    model = Model(long_names=True)
    model.take(Seen("k", replace(workload("api"), namespace="other")), Seen("docker", container("api")))
    assert model.names == ["api", "▸ api (other)"]


def use(name: str, cpu: float | None, memory: int | None) -> Sample:
    return Sample(name, 1.0, cpu, memory, None)


def test_lines_are_sorted_by_figures_and_by_words_and_what_has_none_is_last(model: Model) -> None:
    made = [
        container("a", restarts=2, created_at=100.0),
        container("b", restarts=10, created_at=300.0, state=State.EXITED, exit_code=1),
        container("c", restarts=None, created_at=200.0, health=Health.UNHEALTHY),
    ]
    model.take(*(Seen("docker", one) for one in made))
    model.take(use(made[0].key, 0.095, 900), use(made[2].key, 1.5, 80))
    names = {}
    for column in ("restarts", "cpu", "memory", "age", "state", "health"):
        model.board.order = begun(column)
        names[column] = "".join(model.names)
    assert names == {
        "restarts": "bac",
        "cpu": "cab",
        "memory": "acb",
        "age": "bca",
        "state": "bac",
        "health": "cab",
    }
    model.board.order = Order("cpu", falling=False)
    assert model.names == ["a", "c", "b"]
    assert [model.board.lines.find(row.path) for row in model.board.lines] == [0, 1, 2]


def test_what_was_measured_moves_a_line_at_the_next_tick_alone(model: Model) -> None:
    first, second = container("a"), container("b")
    model.take(Seen("docker", first), Seen("docker", second), use(first.key, 0.5, 1), use(second.key, 0.1, 1))
    model.board.order = begun("cpu")
    assert model.names == ["a", "b"]
    model.take(use(second.key, 0.9, 1))
    structure = model.board.lines.structure
    assert model.names == ["a", "b"]
    model.board.lines.sort_again()
    assert (model.names, model.board.lines.structure) == (["b", "a"], structure + 1)
    model.board.lines.sort_again()
    assert model.board.lines.structure == structure + 1, "nothing changed its place"
    model.take(Seen("docker", container("c")))
    assert model.names == ["b", "a", "c"], "a line that comes is put in its place at once"


def test_what_a_service_is_made_of_stays_below_it_in_any_order() -> None:
    model = Model(long_names=True)
    pods = [pod("api", 1, restarts=1), pod("api", 2, restarts=5), pod("web", 1, restarts=3)]
    model.take(*(Seen("k", one) for one in (workload("api"), workload("web"), *pods)))
    for index in (1, 0):
        model.board.services.toggle(index, True)
    model.board.order = begun("restarts")
    assert model.names == ["▾ api", pods[1].name, pods[0].name, "▾ web", pods[2].name]
    assert [group.key.service for row in range(5) if (group := model.board.services.group_at(row))] == [
        *["api"] * 3,
        *["web"] * 2,
    ]
    model.board.order = Order("service", falling=True)
    assert model.names[0] == "▾ web"
    model.board.show_kind("pod", all_namespaces=False)
    assert [row.key for row in model.board.lines] == [one.key for one in pods], "each kind has an order of its own"
    model.board.order = begun("restarts")
    assert [row.key for row in model.board.lines] == [pods[1].key, pods[2].key, pods[0].key]
    model.board.show_kind("", all_namespaces=False)
    assert (model.names[0], model.board.order) == ("▾ web", Order("service", falling=True))


def test_the_key_goes_through_the_columns_and_back_to_the_names() -> None:
    columns = ("service", "state", "cpu")
    seen, order = [], None
    for _ in range(3):
        order = next_order(order, columns)
        seen.append(order)
    assert seen == [Order("state", falling=False), Order("cpu", falling=True), None]
    assert next_order(Order("memory", falling=True), columns) == seen[0], "a column that is shown no more"
    assert turned(seen[1], columns) == Order("cpu", falling=False)
    assert turned(turned(None, columns), columns) is None


def test_columns_are_those_that_were_chosen(model: Model) -> None:
    services = model.board.services
    services.choose_columns(("verdict", "cpu", "state", "cpu"))
    assert [column.name for column in services.columns] == ["service", "cpu", "state"]
    services.show_verdicts(True)
    assert [column.name for column in services.columns] == ["service", "verdict", "cpu", "state"]
    services.choose_columns(())
    assert [column.name for column in services.columns] == list(CELLS)
