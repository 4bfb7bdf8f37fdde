"""From nothing to a served page, and the same once the images are there.

Nothing means: no image, no volume, no network, no step of a build from a cache, and no downloaded package from one
either. What is there is the base image that the Dockerfiles name, as it is on every machine that built before.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.verify.environment import build_alone

pytestmark = pytest.mark.behaviour("cold start")


def from_nothing(folder: Path) -> None:
    """No step of the builds was ever done before, and no package was ever downloaded."""
    build_alone(folder, package_cache=False)


def stages_of(report) -> dict[str, float]:
    """The stages of a start, over all and for each service."""
    each = {f"{service} {stage}": at for service, found in report.services.items() for stage, at in found.items()}
    return {**report.stages, **each}


def assert_page_is_served(stack) -> None:
    """The page that people open."""
    answer = stack.endpoint("frontend").get("/")
    assert answer.status_code == 200
    assert "<title>" in answer.text


def test_from_nothing(fresh_stack, measure) -> None:
    """Build without any cache, create, start, healthy, served: within two minutes."""
    stack = fresh_stack(up=False, build=False, edit=from_nothing)
    built = stack.build()
    assert [step for step in built.cached if "] FROM " not in step] == [], "something was in the cache"
    assert set(built.images) == {"backend", "frontend"}
    started = stack.up()
    assert_page_is_served(stack)
    stages = {"build": built.seconds}
    stages |= {stage: built.seconds + at for stage, at in stages_of(started).items()}
    measure("cold_start", built.seconds + started.seconds, stages=stages)
    again = stack.build()
    assert again.images == built.images, "an unchanged project was built anew"
    measure(
        "build_improvement",
        100 * (1 - again.seconds / built.seconds),
        stages={"without cache": built.seconds, "with cache": again.seconds},
    )


def test_from_images(isolated_stack, measure) -> None:
    """Create, start, healthy, served once the images are built."""
    isolated_stack.down()
    assert not isolated_stack.engine.containers()
    started = isolated_stack.up()
    assert_page_is_served(isolated_stack)
    measure("warm_start", started.seconds, stages=stages_of(started))
