"""A change of the source is served at once; a broken one is told, and mended by the next change."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from devenv.core.errors import DevenvError
from devenv.verify.http import new_nonce
from devenv.verify.waiting import VerificationFailed

pytestmark = pytest.mark.behaviour("hot reload")

SERVICES = ("backend", "frontend")
SERVED_WITHIN = 20.0  # seconds until this test gives up; the budget is the criterion's
UNHEALTHY_WITHIN = 60.0


@pytest.fixture
def reloads(isolated_stack, wait_for):
    """The sources by service; afterwards they are as they were, in the copy and in the working tree."""
    found = {reload.service: reload for reload in isolated_stack.reloads}
    assert set(found) == set(SERVICES)
    originals = {reload.settings.file: digest(reload.settings.file) for reload in found.values()}
    yield found
    for reload in found.values():
        reload.restore()
    for service, reload in found.items():
        # Not just any answer: the process that serves the change must be gone before the next test calls it.
        wait_for(f"{service} to serve its source again", lambda: original_served(reload), SERVED_WITHIN)  # noqa: B023 - waited for within the loop
    assert {file: digest(file) for file in originals} == originals, "the working tree was changed"


def original_served(reload) -> bool:
    """Whether the answer is there, and without a word of ours."""
    probe = reload.endpoint.probe(reload.settings.path)
    return probe.ok and "nonce" not in probe.body


def digest(file: Path) -> str:
    """What is in a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize("service", SERVICES)
def test_a_change_is_served(isolated_stack, reloads, measure, wait_for, service: str) -> None:
    """A word that was never there before is in the answer, without a new container."""
    before = isolated_stack.engine.container(service)
    nonce = new_nonce()
    assert not reloads[service].served(nonce)
    with measure.timing(f"hot_reload.{service}"):
        reloads[service].apply(nonce)
        wait_for(f"{service} to serve the change", lambda: reloads[service].served(nonce), SERVED_WITHIN)
    after = isolated_stack.engine.container(service)
    assert (after.container_id, after.started_at) == (before.container_id, before.started_at)


def test_a_change_of_the_page_is_served(isolated_stack, measure, wait_for) -> None:
    """The page's files are served as they are, to whoever loads the page again."""
    page, nonce = isolated_stack.folder / "compose" / "frontend" / "docfront" / "static" / "index.html", new_nonce()
    original, frontend = page.read_text("utf-8"), isolated_stack.endpoint("frontend")
    try:
        with measure.timing("hot_reload.page"):
            page.write_text(original.replace("</body>", f"<!-- {nonce} --></body>"), "utf-8")
            wait_for("the changed page", lambda: nonce in frontend.get("/").text, SERVED_WITHIN)
    finally:
        page.write_text(original, "utf-8")
    assert nonce not in frontend.get("/").text


def test_a_syntax_error_is_told_and_mended(isolated_stack, reloads, measure, wait_for) -> None:
    """The log names file and error, the container gets unhealthy, devenv says so, and the next change mends it."""
    engine, broken_at = isolated_stack.engine, isolated_stack.engine.now()
    for reload in reloads.values():
        reload.break_()
    for service, reload in reloads.items():
        for word in ("SyntaxError", reload.file.name):
            wait_for(f"{word} in the log of {service}", lambda: word in engine.logs(service, broken_at), SERVED_WITHIN)  # noqa: B023 - as above
    for service in SERVICES:
        engine.wait_event("health_status", service, since=broken_at, timeout=UNHEALTHY_WITHIN, text="is unhealthy")
        assert engine.container(service).restarts == 0, "a syntax error is no crash: the next change mends it"
    with pytest.raises((VerificationFailed, DevenvError), match="unhealthy"):
        isolated_stack.up(timeout=SERVED_WITHIN)
    mended_at = engine.now()
    nonces = {service: new_nonce() for service in SERVICES}
    with measure.timing("reload_recovery") as stages:
        for service, reload in reloads.items():
            reload.apply(nonces[service])
        for service, reload in reloads.items():
            wait_for(f"{service} to serve again", lambda: reload.served(nonces[service]), SERVED_WITHIN)  # noqa: B023 - as above
            stages[service] = engine.now() - mended_at
    for service in SERVICES:
        engine.wait_event("health_status", service, since=mended_at, timeout=UNHEALTHY_WITHIN, text="is healthy")
