"""Compose against Kubernetes: what differs is found, what is declared is excused, what is declared in vain is found."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from mutation_tools import COMPOSE, SETTINGS

from devenv.cli import main
from devenv.core.manifest_settings import Allowance, ComposeComparison
from devenv.manifests.check import Outside, check, judge
from devenv.manifests.rendering import Rendering, parse_services
from devenv.manifests.schemas import choose_versions
from devenv.manifests.targets import Target

CLEAN = Path(__file__).parent / "clean"


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    document = copy.deepcopy(COMPOSE)
    change(document["services"])
    return document


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda services: services["api"]["ports"].append({"target": 9000}), "compose-ports"),
        (lambda services: services["api"]["environment"].pop("REGION"), "compose-environment"),
        (lambda services: services["api"]["environment"].update(NEW="1"), "compose-environment"),
        (lambda services: services["api"].update(user="1000"), "compose-user"),
        (lambda services: services["api"]["deploy"]["resources"]["limits"].update(cpus="0.25"), "compose-limits"),
        (lambda services: services.update(cache={}), "compose-service"),
        (
            lambda services: services["api"]["healthcheck"].update(test=["CMD-SHELL", "curl http://localhost/other"]),
            "compose-health-path",
        ),
    ],
)
def test_a_change_in_compose_is_found(
    change: Callable[[dict[str, Any]], object], rule: str, rendering_of: Callable[[str], Rendering]
) -> None:
    rendering = replace(rendering_of("production"), compose=parse_services(changed(change)))
    assert {finding.rule for finding in judge(rendering, CLEAN).findings} == {rule}


def test_what_compose_leaves_to_the_image_is_not_compared(rendering_of: Callable[[str], Rendering]) -> None:
    bare = {"services": {"queue": {"healthcheck": {"test": ["CMD", "queue-check"]}}}}
    rendering = replace(rendering_of("production"), compose=parse_services(bare))
    assert judge(rendering, CLEAN).findings == ()


def test_a_service_of_another_name_is_found_by_its_declared_workload(rendering_of: Callable[[str], Rendering]) -> None:
    renamed = changed(lambda services: services.update(mq=services.pop("queue")))
    rendering = replace(rendering_of("production"), compose=parse_services(renamed))
    assert {finding.rule for finding in judge(rendering, CLEAN).findings} == {"compose-service"}
    settings = structs.replace(SETTINGS, compose=ComposeComparison({"mq": "queue"}))
    assert judge(replace(rendering, settings=settings), CLEAN).findings == ()


@pytest.mark.parametrize(
    ("allowance", "excused"),
    [
        (Allowance("compose-limits", "api", "fewer cores", "cpu", ()), True),
        (Allowance("compose-limits", "api", "fewer cores", "", ("production",)), True),
        (Allowance("compose-limits", "api", "fewer cores", "cpu", ("staging",)), False),
        (Allowance("compose-limits", "api", "fewer cores", "memory", ()), False),
        (Allowance("compose-limits", "web", "fewer cores", "", ()), False),
        (Allowance("compose-ports", "api", "fewer cores", "", ()), False),
    ],
)
def test_a_declared_difference_is_excused_where_it_fits_and_told_where_it_does_not(
    allowance: Allowance, excused: bool
) -> None:
    compose = changed(lambda services: services["api"]["deploy"]["resources"]["limits"].update(cpus="0.25"))
    outside = Outside(
        CLEAN, structs.replace(SETTINGS, compose=ComposeComparison(allow=(allowance,))), compose=parse_services(compose)
    )
    targets = [Target("production", CLEAN / "overlays" / "production", declared=True)]
    report = check(targets, choose_versions(()), outside)
    (target,) = report.targets
    if excused:
        assert report.findings == ()
        assert [item.reason for item in target.excused] == ["fewer cores"]
    else:
        assert {finding.rule for finding in report.findings} == {"compose-limits", "exception-unused"}
        assert target.excused == ()


def test_a_compose_project_that_cannot_be_read_makes_a_clean_check_inconclusive(
    clean_copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (clean_copy / "devenv.toml").write_text(
        '[compose]\nfiles = ["compose.yaml"]\n[manifests.overlays.dev]\npath = "overlays/dev"\n', "utf-8"
    )
    (clean_copy / "compose.yaml").write_text("services: [\n", "utf-8")
    monkeypatch.chdir(clean_copy)
    assert main(["manifests", "check"]) == 12
    assert "not compared with Compose" in capsys.readouterr().out
    assert main(["manifests", "check", "--no-compose"]) == 0


@pytest.mark.engine
def test_compose_itself_is_asked(
    clean_copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (clean_copy / "devenv.toml").write_text(
        '[compose]\nfiles = ["compose.yaml"]\n[manifests.overlays.dev]\npath = "overlays/dev"\n', "utf-8"
    )
    (clean_copy / "compose.yaml").write_text(
        "services:\n"
        "  queue: {image: queue, expose: [5672], profiles: [never]}\n"
        "  web:\n    image: web\n    ports: ['127.0.0.1:0:3001']\n    mem_limit: 256m\n    user: '10001'\n"
        "    environment: [REGION=x, LOG_FORMAT=x, BACKEND_URL=x]\n",
        "utf-8",
    )
    monkeypatch.chdir(clean_copy)
    assert main(["manifests", "check"]) == 11
    out = capsys.readouterr().out
    assert "Compose's web listens on 3001, container web does not" in out
    assert "container web listens on 3000, Compose's web does not" in out
    assert "2 findings" in out
