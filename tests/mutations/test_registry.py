"""The mutations fit the project, and the table in docs/SMOKETESTS.md says what they are."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from mutation import Mutation, batches
from registry import MUTATIONS
from suite import OVER_BUDGET, ROOT, mutated

from devenv.runs.criteria import criterion, judge

DOCUMENT = ROOT / "docs" / "SMOKETESTS.md"
BEGIN, END = "<!-- mutations: begin -->\n", "<!-- mutations: end -->\n"


def smoke_tests() -> set[str]:
    """Every test, as FILE::FUNCTION."""
    return {
        f"{file.name}::{node.name}"
        for file in (ROOT / "smoketests").glob("test_*.py")
        for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def table() -> str:
    rows = ["| Fault | Caught by |\n", "| --- | --- |\n"]
    for mutation in MUTATIONS:
        tests = (
            ["every test that starts it: the stack never gets up"]
            if mutation.caught_by is None
            else sorted(mutation.caught_by)
        )
        caught = ", ".join(f"`{name.removeprefix('test_')}`" if "::" in name else name for name in tests)
        rows.append(f"| {mutation.what} (`{mutation.name}`) | {caught} |\n")
    return "".join(rows)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_every_mutation_fits(tmp_path: Path, mutation: Mutation) -> None:
    mutated(tmp_path, (mutation,))
    assert mutation.caught_by is None or {name.partition("[")[0] for name in mutation.caught_by} <= smoke_tests()


def test_every_batch_fits(tmp_path: Path) -> None:
    for number, batch in enumerate(batches(MUTATIONS)):
        mutated(tmp_path / str(number), batch)


def test_every_behaviour_has_a_mutation() -> None:
    caught = {name.partition("::")[0] for mutation in MUTATIONS for name in mutation.caught_by or ()}
    assert caught == {name.partition("::")[0] for name in smoke_tests()}


def test_every_smoke_test_is_turned_red_by_a_fault_made_for_it() -> None:
    caught = {name.partition("[")[0] for mutation in MUTATIONS for name in mutation.caught_by or ()}
    assert smoke_tests() - caught == set()


def test_names_are_unique() -> None:
    names = [mutation.name for mutation in MUTATIONS]
    assert len(names) == len(set(names))


def test_the_document_names_every_file_for_kubernetes() -> None:
    after = DOCUMENT.read_text("utf-8").partition("<!-- kubernetes: begin -->")[2]
    text = after.partition("<!-- kubernetes: end -->")[0]
    named = {line.split("`")[1] for line in text.splitlines() if line.startswith("| `")}
    assert named == {file.stem for file in (ROOT / "smoketests" / "kubernetes").glob("test_*.py")}


def test_the_document_has_the_table() -> None:
    text = DOCUMENT.read_text("utf-8")
    written = text.partition(BEGIN)[2].partition(END)[0]
    assert written == table(), f"{DOCUMENT.name}: put this between the marks:\n{table()}"


def test_a_test_that_only_took_too_long_is_known_by_its_words() -> None:
    late = judge(criterion("hot_reload.frontend", {}), 4.594, {}, 0.0, "test")
    assert OVER_BUDGET.match(f"{late} (expected: hot_reload.frontend at most 3 s)")
    assert not OVER_BUDGET.match("no event at all (expected: event health_status 'is unhealthy' within 60 s)")
