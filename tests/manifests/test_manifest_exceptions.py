"""Exceptions: one excuses one rule of one object, and is itself checked."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from mutation_tools import Objects
from mutations import MUTATIONS

from devenv.manifests.check import Judgement, Outside, judge
from devenv.manifests.model import Manifest
from devenv.manifests.rendering import Rendering


@pytest.fixture
def judged(
    rendering_of: Callable[[str], Rendering], outside: Outside
) -> Callable[[str, Callable[[Objects], object]], Judgement]:
    def judged(overlay: str, change: Callable[[Objects], object]) -> Judgement:
        rendering = rendering_of(overlay)
        objects = Objects([copy.deepcopy(dict(manifest.data)) for manifest in rendering.manifests])
        change(objects)
        return judge(replace(rendering, manifests=tuple(Manifest(item) for item in objects.items)), outside.root)

    return judged


def annotate(objects: Objects, title: str, **exceptions: Any) -> None:
    objects[title]["metadata"]["annotations"] = {
        f"devenv.io/ignore.{rule.replace('_', '-')}": reason for rule, reason in exceptions.items()
    }


Judged = Callable[[str, Callable[[Objects], object]], Judgement]


def test_an_exception_excuses_its_rule_on_its_object_and_keeps_the_reason(judged: Judged) -> None:
    def change(objects: Objects) -> None:
        MUTATIONS["host-path"].change(objects)
        annotate(objects, "Deployment/api", host_path="reads the node's log")

    judgement = judged("production", change)
    assert judgement.findings == ()
    (excused,) = judgement.excused
    assert (excused.rule, excused.object, excused.reason) == ("host-path", "Deployment/api", "reads the node's log")


def test_it_excuses_no_other_object_and_no_other_rule(judged: Judged) -> None:
    def change(objects: Objects) -> None:
        MUTATIONS["host-path"].change(objects)
        MUTATIONS["host-network"].change(objects)
        annotate(objects, "Deployment/web", host_path="not this one")

    found = {(finding.rule, finding.object) for finding in judged("production", change).findings}
    assert found == {
        ("host-path", "Deployment/api"),
        ("host-network", "Deployment/api"),
        ("exception-unused", "Deployment/web"),
    }


@pytest.mark.parametrize("reason", ["", "  ", None, 5, []])
def test_without_a_reason_it_excuses_nothing(judged: Judged, reason: Any) -> None:
    def change(objects: Objects) -> None:
        MUTATIONS["host-path"].change(objects)
        annotate(objects, "Deployment/api", host_path=reason)

    rules = {finding.rule for finding in judged("production", change).findings}
    assert {"host-path", "exception-reason"} <= rules


def test_an_exception_from_a_rule_that_does_not_hold_here_is_not_unused(judged: Judged) -> None:
    """The base may have an exception that only production needs."""

    def change(objects: Objects) -> None:
        annotate(objects, "StatefulSet/queue", single_instance="the broker has a replica of its own")

    assert judged("dev", change).findings == ()
    assert {finding.rule for finding in judged("production", change).findings} == {"exception-unused"}
