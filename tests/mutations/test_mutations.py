"""Every mutation turns the smoke tests red that it says, and no other."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from mutation import ONLY_BUILD, Mutation, batches
from registry import MUTATIONS
from suite import SuiteRun, run_suite

pytestmark = pytest.mark.engine

# For a closer look: DEVENV_MUTATIONS=single gives each mutation a run of its own.
RUNS = (
    [(mutation,) for mutation in MUTATIONS]
    if os.environ.get("DEVENV_MUTATIONS") == "single"
    else list(batches(MUTATIONS))
)


def name_of(mutations: tuple[Mutation, ...]) -> str:
    return "+".join(mutation.name for mutation in mutations)


def check(run: SuiteRun, mutations: tuple[Mutation, ...]) -> None:
    expected = {
        mutation.name: run.tests - ONLY_BUILD if mutation.caught_by is None else mutation.caught_by
        for mutation in mutations
    }
    assert {name: tests - run.tests for name, tests in expected.items() if tests - run.tests} == {}, "no such test"
    survived = {name: sorted(tests - run.red) for name, tests in expected.items() if tests - run.red}
    unexpected = run.red - run.slow - frozenset().union(*expected.values())
    assert (survived, sorted(unexpected)) == ({}, []), run.output[-30000:]


@pytest.mark.mutation
@pytest.mark.parametrize("mutations", RUNS, ids=name_of)
def test_mutations_are_caught(tmp_path: Path, mutations: tuple[Mutation, ...]) -> None:
    check(run_suite(tmp_path, mutations), mutations)


def test_quick_mutations_are_caught(tmp_path: Path) -> None:
    """The harness works: several faults at once, and the files of the tests that catch them."""
    quick = next(batches(mutation for mutation in MUTATIONS if mutation.quick))
    files = {name.partition("::")[0] for mutation in quick for name in mutation.caught_by or ()}
    check(run_suite(tmp_path, quick, files), quick)


def test_no_test_is_red_without_a_mutation(tmp_path: Path) -> None:
    """The copy that is mutated is a whole project: what turns red there is the mutation's doing."""
    run = run_suite(tmp_path, (), ("test_order.py", "test_reachability.py", "test_hardening.py"))
    assert run.red == frozenset(), run.output[-30000:]
    assert run.tests
