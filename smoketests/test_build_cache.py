"""Builds do what a change needs, and nothing else."""

from __future__ import annotations

import pytest

from devenv.verify.environment import build_alone
from devenv.verify.http import new_nonce

pytestmark = pytest.mark.behaviour("build cache")

SOURCES = {"backend": "docindexer", "frontend": "docfront"}


@pytest.fixture
def built(fresh_stack):
    """Images that no other build has a part in, and a first build of them; nothing is started."""
    return fresh_stack(up=False, build=True, edit=build_alone)


def test_second_build_is_a_no_op(built, measure) -> None:
    """Nothing changed: every step from the cache, the same images."""
    first = built.build()
    second = built.build()
    measure("noop_build", second.seconds)
    assert second.images == first.images
    assert steps_run(second) == []
    assert second.cached


def test_a_change_rebuilds_one_image(built, measure) -> None:
    """A changed source gives its service another image, and leaves the packages and the other service alone."""
    before = built.build()
    for service, package in SOURCES.items():
        source = built.folder / "compose" / service / package / "__init__.py"
        original = source.read_text("utf-8")
        source.write_text(f"{original}# {new_nonce()}\n", "utf-8")
        after = built.build()
        measure(f"cached_build.{service}", after.seconds)
        assert {name for name in after.images if after.images[name] != before.images[name]} == {service}
        assert [step for step in steps_run(after) if "pip" in step] == [], "packages were installed anew"
        source.write_text(original, "utf-8")
        assert built.build().images == before.images


def steps_run(report) -> list[str]:
    """The steps that the builder really did; finding the base image is one that no cache saves."""
    return [step for step in report.built if "] FROM " not in step]
