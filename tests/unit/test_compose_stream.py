"""Lines of `docker compose --progress json`, recorded from Compose 5.6, and BuildKit's steps in them."""

from __future__ import annotations

import base64

import pytest

from devenv.control.stream import LINES_KEPT, BuildStatus, BuildView, Complaint, Remark, parse_line
from devenv.core.model import Progress


def test_a_step() -> None:
    line = b'{"id":"Container p-web-1","status":"Done","text":"Started"}\n'
    assert tuple(parse_line(line)) == (Progress("Container p-web-1", "Started", "done"),)


@pytest.mark.parametrize(
    ("word", "status"),
    [("Creating", "working"), ("Created", "done"), ("Running", "done"), ("Healthy", "done")],
)
def test_a_step_of_compose_2(word: str, status: str) -> None:
    line = f'{{"id":"Container p-web-1","text":"more","status":"{word}"}}'
    assert tuple(parse_line(line.encode())) == (Progress("Container p-web-1", word, status, "more"),)


def test_a_pull_with_numbers() -> None:
    line = b'{"id":"abc","parent_id":"Image x","status":"Working","text":"Pulling","current":5,"total":10,"percent":50}'
    assert tuple(parse_line(line)) == (
        Progress("abc", "Pulling", "working", current=5, total=10, percent=50, parent_id="Image x"),
    )


@pytest.mark.parametrize(
    ("line", "record"),
    [
        (b'{"error":true,"message":"no such service: x"}', Complaint("no such service: x")),
        (b'{"error":true}', Complaint("")),
        (b'{"level":"warning","msg":"The \\"X\\" variable","time":"t"}', Remark('The "X" variable')),
        (b"docker: 'compose' is not a docker command.", Remark("docker: 'compose' is not a docker command.")),
        (b"[1, 2]", Remark("[1, 2]")),
        (b'{"something": "new"}', Remark('{"something": "new"}')),
        (b"\xff\x1b]52;c;aGk=\x07[/foo]", Remark("\ufffd[/foo]")),
        (b'{"logs":[]}', BuildStatus({"logs": []})),
    ],
)
def test_other_lines(line: bytes, record: object) -> None:
    assert tuple(parse_line(line)) == (record,)


def test_an_empty_line_is_nothing() -> None:
    assert tuple(parse_line(b"\n")) == ()


def vertex(digest: str, name: str, **more: object) -> dict[str, object]:
    return {"vertexes": [{"digest": digest, "name": name, **more}]}


def log(digest: str, data: bytes) -> dict[str, object]:
    return {"logs": [{"vertex": digest, "stream": 1, "data": base64.b64encode(data).decode()}]}


def test_a_build_step_from_begin_to_end() -> None:
    view = BuildView(("web", "api"))
    name = "[web 2/3] RUN pip install"
    assert list(view.apply(vertex("d", name))) == []
    (begun,) = view.apply(vertex("d", name, started="t"))
    assert (begun.id, begun.text, begun.status, begun.parent_id) == (f"Step {name}", "Building", "working", "web")
    (line,) = view.apply(log("d", b"Collecting x\nDownloa"))
    assert line.details == "Downloa"
    assert list(view.apply(vertex("d", name, started="t"))) == []
    (done,) = view.apply(vertex("d", name, started="t", completed="t"))
    assert (done.text, done.status, done.details) == ("Built", "done", "")
    assert view.failing() is None


def test_internal_steps_are_not_shown_unless_they_fail() -> None:
    view = BuildView(("web",))
    assert list(view.apply(vertex("d", "[internal] load .dockerignore", started="t"))) == []
    (failed,) = view.apply(vertex("d", "[internal] load .dockerignore", started="t", error="boom"))
    assert (failed.status, failed.details, failed.parent_id) == ("error", "boom", "web")


def test_cached() -> None:
    (progress,) = BuildView().apply(vertex("d", "[1/2] FROM x", started="t", completed="t", cached=True))
    assert (progress.text, progress.status) == ("Cached", "done")


def test_the_failing_step_is_the_one_that_was_not_canceled() -> None:
    view = BuildView(("a", "b"))
    list(view.apply(vertex("1", "[a 2/2] RUN sleep", started="t", error="exit code: 137: context canceled")))
    list(view.apply(log("1", b"x")))
    list(view.apply(vertex("2", "[b builder 2/2] RUN false", started="t")))
    list(view.apply(log("2", "".join(f"line {n}\n" for n in range(LINES_KEPT + 5)).encode() + b"\x1b[31mlast [/foo]")))
    (progress,) = view.apply(vertex("2", "[b builder 2/2] RUN false", started="t", error="exit code: 1"))
    assert progress.text == "Failed"
    step = view.failing()
    assert step is not None
    assert view.service_of(step) == "b"
    assert step.last_lines[-1] == "last [/foo]"
    assert len(step.last_lines) == LINES_KEPT + 1


@pytest.mark.parametrize(
    ("name", "services", "service"),
    [
        ("[2/3] RUN x", ("only",), "only"),
        ("[builder 2/3] RUN x", ("only",), "only"),
        ("[2/3] RUN x", ("a", "b"), ""),
        ("[b internal] load metadata", ("a", "b"), "b"),
        ("exporting to image", ("a", "b"), ""),
    ],
)
def test_the_service_of_a_step(name: str, services: tuple[str, ...], service: str) -> None:
    view = BuildView(services)
    list(view.apply(vertex("d", name, started="t", error="x")))
    step = view.failing()
    assert step is not None
    assert view.service_of(step) == service


def test_a_progress_bar_without_line_ends_stays_small() -> None:
    view = BuildView()
    list(view.apply(vertex("d", "[1/1] RUN x", started="t")))
    for _ in range(50):
        list(view.apply(log("d", b"#" * 10_000)))
    (progress,) = view.apply(log("d", b"end"))
    assert progress.details.endswith("end")
    assert len(progress.details) <= 400
