"""Logs of a real engine: restarts, terminals, floods and hostile lines."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from throwaway import Throwaway

from devenv.core.model import LogsDropped, State

pytestmark = pytest.mark.engine
Factory = Callable[..., Throwaway]


def python(code: str) -> dict[str, object]:
    return {"command": ["python3", "-u", "-c", code]}


def test_the_log_is_whole_over_restarts_and_ends_with_the_container(project: Factory) -> None:
    # It counts its lives in a file that survives a restart, and prints the lines of each.
    talk = "for i in $(seq 5); do echo line $i; done; echo problem >&2"
    code = f"{talk}; echo x >>/lives; test $(wc -l </lives) -ge 3 || exit 3; exec sleep 300"
    made = project(web={"command": ["sh", "-c", code], "restart": "on-failure"})
    made.compose("up", "-d")
    reader = made.reader()
    reader.live(1)
    name = made.container("web")
    reader.backend.follow_logs([reader.named(name).key])
    reader.until(lambda: reader.has(name, state=State.RUNNING, restarts=2), limit=30)
    reader.until(lambda: reader.texts("stdout") == [f"line {n}" for n in (1, 2, 3, 4, 5)] * 3)
    reader.until(lambda: reader.texts("stderr") == ["problem"] * 3)
    made.docker("restart", name)
    reader.until(lambda: len(reader.texts("stdout")) == 20)
    made.compose("down")
    reader.until(lambda: reader.texts()[-1] == "container removed")
    assert reader.texts("stdout") == [f"line {n}" for n in (1, 2, 3, 4, 5)] * 4, "nothing twice, nothing lost"


def test_a_terminal(project: Factory) -> None:
    code = r"printf '\033[31mred\033[0m one\r\ntwo\n'; printf 'prompt> '; exec sleep 300"
    made = project(shell={"command": ["sh", "-c", code], "tty": True})
    made.compose("up", "-d")
    reader = made.reader()
    reader.live(1)
    reader.backend.follow_logs([reader.named(made.container("shell")).key])
    reader.until(lambda: reader.texts() == ["red one", "two"])
    made.docker("stop", made.container("shell"))
    reader.until(lambda: reader.texts()[:3] == ["red one", "two", "prompt>"] or reader.texts()[2:3] == ["prompt> "])


def test_hostile_lines(project: Factory) -> None:
    made = project(
        web=python(
            "import sys, time\n"
            "w = sys.stdout.buffer.write\n"
            r"w(b'\x1b]52;c;ZXZpbA==\x07\x1b[2J[/foo] \xff\xfe\n')" + "\n"
            r"w(b'y' * 10_000_000 + b'\n')" + "\n"
            r"w(b'after\n')" + "\n"
            "sys.stdout.flush(); time.sleep(300)"
        )
    )
    made.compose("up", "-d")
    reader = made.reader()
    reader.live(1)
    reader.backend.follow_logs([reader.named(made.container("web")).key], tail=2000)
    reader.until(lambda: "after" in reader.texts(), limit=30)
    first, long, last = reader.lines
    assert first.text == "[/foo] \ufffd\ufffd"
    assert (long.text, long.cut) == ("y" * 16_384, 10_000_000 - 16_384)
    assert last.text == "after"


def test_a_flood_is_read_and_what_the_screen_cannot_take_is_counted(
    project: Factory, record_property: Callable[[str, object], None]
) -> None:
    count = 100_000
    made = project(web=python(f"for n in range({count}): print('line', n, 'of a flood')\nimport time; time.sleep(300)"))
    made.compose("up", "-d")
    reader = made.reader()
    reader.live(1)
    key = reader.named(made.container("web")).key
    deadline = time.monotonic() + 30
    while f"line {count - 1} of" not in made.docker("logs", "--tail", "1", made.container("web")):
        assert time.monotonic() < deadline
    reader.backend.follow_logs([key], tail=count)
    began, cpu = time.monotonic(), time.process_time()

    def told() -> int:
        return len(reader.lines) + sum(r.count for r in reader.records if isinstance(r, LogsDropped) and r.key == key)

    reader.until(lambda: told() >= count, limit=30)
    wall, used = time.monotonic() - began, time.process_time() - cpu
    record_property("lines a second", count / wall)
    record_property("lines a second of CPU", count / used)
    assert told() == count
    assert reader.lines[-1].text == f"line {count - 1} of a flood"
    assert count / used > 20_000
