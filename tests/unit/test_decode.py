"""Typed data in whatever thread: the first use of a type by several at once."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

DEVENV = Path(__file__).parents[2] / "devenv"
FIRST_USES = """
import sys
from threading import Barrier, Thread

import msgspec

from devenv.core.decode import convert, from_json

sys.setswitchinterval(1e-6)
start = Barrier(4)
right = []


def use(number):
    start.wait()
    value = (from_json(b'{"a": {"b7": 3}}', kind) if number % 2 else convert({"a": {"b7": 3}}, kind))
    right.append(value.a.b7 == 3)


for _ in range(100):
    inner = msgspec.defstruct("Inner", [(f"b{number}", dict[str, int] | int | None, None) for number in range(50)])
    kind = msgspec.defstruct("Outer", [("a", inner), *((f"c{number}", inner | None, None) for number in range(20))])
    threads = [Thread(target=use, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
assert right == [True] * 400, right
"""


def test_two_threads_may_use_a_type_for_the_first_time_at_once() -> None:
    done = subprocess.run([sys.executable, "-c", FIRST_USES], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_every_typed_reading_goes_this_way() -> None:
    typed = re.compile(r"msgspec\.convert\(|json\.decode\(.*type=|json\.Decoder\(\w")
    places = {path.relative_to(DEVENV).as_posix() for path in DEVENV.rglob("*.py") if typed.search(path.read_text())}
    assert places == {"core/decode.py"}
