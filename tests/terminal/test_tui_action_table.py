"""The table of the main screen's actions: each has one key, one name, one place in help, and one that does it."""

from __future__ import annotations

from collections import Counter

import pytest

from devenv.control.kube.control import VERBS
from devenv.tui.action_table import ACTIONS, ANY_KIND, BY_NAME, OF_CLUSTER, OF_PROJECT, help_groups
from tests.terminal.cluster import cluster_opened
from tests.terminal.conftest import Opening


def test_a_name_a_key_and_a_word_mean_one_action() -> None:
    for of_action in (
        [action.name for action in ACTIONS],
        [action.key for action in ACTIONS if action.key],
        [word for action in ACTIONS for word in (*action.words, *action.synonyms)],
        [action.palette for action in ACTIONS if action.palette],
    ):
        assert [one for one, count in Counter(of_action).items() if count > 1] == []


def test_every_action_can_be_reached() -> None:
    for action in ACTIONS:
        assert action.key or action.palette or action.words, action.name


def test_what_the_control_asks_about_is_marked() -> None:
    for verb in VERBS.keys() & BY_NAME.keys():
        if BY_NAME[verb].group == OF_CLUSTER:
            assert BY_NAME[verb].takes_away is VERBS[verb].takes_away, verb
    assert {action.name for action in ACTIONS if action.takes_away and action.group == OF_PROJECT} == {
        *("down", "down_all", "down_volumes", "prune", "prune_volumes", "recreate", "kill", "scale", "delete"),
    }
    assert BY_NAME["down"].binding().tooltip == "the whole project; asks"


@pytest.mark.parametrize("in_cluster", [False, True])
def test_help_has_each_key_once(in_cluster: bool) -> None:
    ids = [binding.id for _, keys in help_groups(BY_NAME, in_cluster=in_cluster) for binding in keys]
    assert sorted(ids) == sorted(action.name for action in ACTIONS if action.key)


async def test_every_action_has_a_handler_and_every_handler_an_action(opened: Opening) -> None:
    async with opened() as terminal:
        assert set(terminal.main.handlers) == {action.name for action in ACTIONS if action.group != OF_CLUSTER}
    async with cluster_opened() as cluster:
        assert set(cluster.main.handlers) == set(BY_NAME)


def test_what_is_for_objects_of_a_cluster_names_their_kinds() -> None:
    for action in ACTIONS:
        if action.kinds and action.kinds is not ANY_KIND:
            assert all(kind == kind.lower() and kind.isalpha() for kind in action.kinds), action.name
            assert action.kubectl, action.name
