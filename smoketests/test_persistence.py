"""What was acknowledged outlives containers and images, and only `down -v` ends it."""

from __future__ import annotations

import pytest

from devenv.verify.http import new_nonce

pytestmark = pytest.mark.behaviour("persistence")

WORDS = 3
ON_BOTH = pytest.mark.targets("compose", "kubernetes")


@pytest.fixture
def words(isolated_stack) -> list[str]:
    """Words that were written and acknowledged."""
    found = [new_nonce() for _ in range(WORDS)]
    assert all(isolated_stack.persistence.write(word) for word in found)
    return found


def assert_found(stack, words: list[str]) -> None:
    """Each is found."""
    assert [word for word in words if not stack.persistence.read(word)] == [], "acknowledged writes are lost"


@ON_BOTH
def test_restart(isolated_stack, words, measure) -> None:
    """`restart`; in Kubernetes a rolling one."""
    with measure.timing("restart"):
        isolated_stack.restart()
        isolated_stack.wait_healthy()
    assert_found(isolated_stack, words)


@ON_BOTH
def test_stop_and_start(isolated_stack, words) -> None:
    """`stop`, then `start`; in Kubernetes no replica, then as many as before."""
    isolated_stack.stop()
    isolated_stack.start()
    isolated_stack.wait_healthy()
    assert_found(isolated_stack, words)


@ON_BOTH
def test_down_and_up(isolated_stack, words) -> None:
    """`down`, then `up`: other containers, the same data."""
    before = isolated_stack.engine.container("backend")
    isolated_stack.down()
    isolated_stack.up()
    assert isolated_stack.engine.container("backend").container_id != before.container_id
    assert_found(isolated_stack, words)


def test_new_image(isolated_stack, words) -> None:
    """A changed source is built: a container of another image, the same data."""
    before = isolated_stack.engine.container("backend")
    source = isolated_stack.folder / "compose" / "backend" / "docindexer" / "__init__.py"
    original = source.read_text("utf-8")
    try:
        source.write_text(f"{original}# {new_nonce()}\n", "utf-8")
        isolated_stack.up(build=True)
        after = isolated_stack.engine.container("backend")
        assert after.image_id != before.image_id
        assert after.container_id != before.container_id
        assert_found(isolated_stack, words)
    finally:
        source.write_text(original, "utf-8")
    isolated_stack.up(build=True)
    assert_found(isolated_stack, words)


@ON_BOTH
def test_down_with_volumes(isolated_stack, words) -> None:
    """`down -v`, in Kubernetes the claims removed, is the one way to an empty store."""
    assert_found(isolated_stack, words)
    isolated_stack.down(volumes=True)
    isolated_stack.up()
    assert isolated_stack.endpoint("backend").get("/api/collections").json() == []
    assert not any(isolated_stack.persistence.read(word) for word in words)
