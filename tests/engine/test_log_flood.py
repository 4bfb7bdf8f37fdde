"""A flood on a real engine: each line is shown or counted. `python -m benchmarks.bench_logs` does it with a million."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from throwaway import Throwaway

from devenv.core.model import LogsDropped
from devenv.tui.logs.buffers import LogShelf
from devenv.tui.table.lines import GroupKey

pytestmark = pytest.mark.engine
MERGED = GroupKey("*", "*")
COUNTS = {"slow": 1_500, "middle": 7_500, "fast": 30_000}


def printing(rate: int, count: int) -> dict[str, object]:
    code = (
        "import sys, time\n"
        "time.sleep(1)\n"  # the readers come first
        f"for start in range(0, {count}, {rate // 50}):\n"
        f"    sys.stdout.write(''.join('line %d\\n' % n for n in range(start, min({count}, start + {rate // 50}))))\n"
        "    sys.stdout.flush(); time.sleep(0.02)\n"
        "print('end', flush=True); time.sleep(300)"
    )
    return {"command": ["python3", "-c", code]}


def test_what_is_shown_and_what_is_counted_is_what_was_printed(project: Callable[..., Throwaway]) -> None:
    made = project(**{name: printing(count // 2, count) for name, count in COUNTS.items()})
    made.compose("up", "-d")
    reader = made.reader()
    reader.live(3)
    names = {reader.named(made.container(name)).key: name for name in COUNTS}
    shelf = LogShelf()
    buffer = shelf.select(("*",), MERGED, 0.0)
    shelf.feed(MERGED, names)
    reader.backend.follow_logs(names, tail=100_000)
    taken = 0

    def ended() -> bool:
        nonlocal taken
        fresh, taken = reader.lines[taken:], len(reader.lines)
        shelf.take(*fresh)
        return sum(line.text == "end" for line in reader.lines) == len(COUNTS)

    reader.until(ended, limit=60)
    shelf.take(*(record for record in reader.records if isinstance(record, LogsDropped)))
    came: Counter[str] = Counter(names[line.key] for line in reader.lines if line.text.startswith("line "))
    dropped = {names[key]: count for key, count in buffer.dropped.items()}
    assert {name: came[name] + dropped.get(name, 0) for name in COUNTS} == COUNTS
    assert buffer.total == len(reader.lines)
    for key, name in names.items():
        own = [int(line.text.split()[1]) for line in reader.lines if line.key == key and line.text != "end"]
        assert own == sorted(set(own)), f"{name}: in order, and none twice"
