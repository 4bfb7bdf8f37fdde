"""Events: what is asked for, how lines are cut, and what each event says."""

from __future__ import annotations

import json
import random

import pytest

from devenv.backends.docker.events import Lines, event_params, happening_of, parse_event


def raw(action: object, **more: object) -> bytes:
    actor = {"ID": "abc", "Attributes": {"name": "web", "image": "img", **more}}
    event = {"Type": "container", "Action": action, "Actor": actor, "time": 5, "timeNano": 5_123_456_789}
    return json.dumps(event).encode()


@pytest.mark.parametrize(
    ("action", "attributes", "text"),
    [
        ("die", {"exitCode": "137"}, "exited with code 137 (SIGKILL)"),
        ("die", {"exitCode": "143"}, "exited with code 143 (SIGTERM)"),
        ("die", {"exitCode": "0"}, "exited with code 0"),
        ("die", {"exitCode": "-1"}, "exited with code -1"),
        ("die", {"exitCode": "many"}, "exited with code unknown"),
        ("die", {}, "exited with code unknown"),
        ("kill", {"signal": "9"}, "was sent SIGKILL"),
        ("kill", {"signal": "64"}, "was sent SIGRTMAX"),
        ("kill", {"signal": "99"}, "was sent signal 99"),
        ("kill", {"signal": "x\x1b[1m"}, "was sent x"),
        ("health_status: unhealthy", {}, "is unhealthy"),
        ("rename", {"oldName": "/old"}, "renamed from old"),
        ("oom", {}, "out of memory: the kernel killed a process in it"),
        ("start", {}, "started"),
    ],
)
def test_what_an_event_says(action: str, attributes: dict[str, str], text: str) -> None:
    event = parse_event(raw(action, **attributes))
    assert event is not None
    happening = happening_of(event)
    assert (happening.key, happening.text, happening.at) == ("docker/abc", text, pytest.approx(5.123456789))
    assert happening.action == action.partition(":")[0]
    assert event.since == "5.123456789"


@pytest.mark.parametrize("action", ["exec_create: sh -c die", "exec_start: die", "exec_die", "attach", "top", "dreams"])
def test_what_is_of_no_interest(action: str) -> None:
    assert parse_event(raw(action)) is None


def test_other_types_and_old_shapes() -> None:
    assert parse_event(b'{"Type": "network", "Action": "connect", "Actor": {"ID": "n"}}') is None
    event = parse_event(b'{"status": "die", "id": "abc", "time": 7}')
    assert event is not None
    assert (event.key, event.at, event.exit_code) == ("docker/abc", 7.0, None)


@pytest.mark.parametrize("line", [b"{", b"7", b"[]", b"null", b"\xff", b"{}", b'{"Action": "die"}', b"[" * 99_999])
def test_what_is_no_event(line: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_event(line)


def test_the_filter_names_no_exec_event() -> None:
    params = event_params("shop", "5.1")
    filters = json.loads(params["filters"])
    assert filters["label"] == ["com.docker.compose.project=shop"]
    assert params["since"] == "5.1"
    # The engine matches these as prefixes.
    assert not any("exec_die: x".startswith(name) for name in filters["event"])


def test_any_chunks_give_the_same_lines() -> None:
    chance = random.Random(3)
    text = b"".join(b"%d %b\n" % (n, b"x" * chance.randrange(40)) for n in range(200)) + b"\n \nend\n"
    expected = [line for line in text.split(b"\n") if line.strip()]
    for _ in range(50):
        lines, found, position = Lines(), [], 0
        while position < len(text):
            size = chance.randrange(1, 60)
            found += list(lines.feed(text[position : position + size]))
            position += size
        assert found == expected


def test_a_line_without_end_is_given_up_once() -> None:
    lines = Lines(longest=100)
    found: list[bytes | None] = []
    for _ in range(50):
        found += lines.feed(b"x" * 30)
    found += lines.feed(b"rest\ngood\n")
    assert found == [None, b"good"]
