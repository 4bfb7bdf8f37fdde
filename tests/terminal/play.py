"""The real program on scripted records: python -m tests.terminal.play hostile|idle|busy [dark|light|ansi]."""

from __future__ import annotations

import sys
import threading
import time
from typing import cast, get_args

from devenv.core.model import LogLine, Sample
from devenv.tui.app import run
from devenv.tui.theme import ThemeChoice
from tests.terminal.hostile import TEXTS, changes
from tests.terminal.scripted import ScriptedBackend, ScriptedControl, container, log, shop


class HostileBackend(ScriptedBackend):
    """Answers every wish for logs with hostile lines."""

    def follow_logs(self, keys: object, tail: int = 500) -> None:
        super().follow_logs(cast("set[str]", keys), tail)
        for key in self.logs:
            self.emit(*(LogLine(key, 1.0, stream, text) for text in TEXTS.values() for stream in ("stdout", "stderr")))


def main(scene: str, theme: str) -> int:
    """Play a scene until the user quits."""
    assert theme in get_args(ThemeChoice)
    backend, control = ScriptedBackend(), ScriptedControl()
    done = threading.Event()
    if scene == "hostile":
        backend = HostileBackend()
        control.sentences = tuple(TEXTS.values())
        for text in TEXTS.values():
            backend.emit(*(change for change in changes(text) if not isinstance(change, LogLine)))
    elif scene == "idle":
        started = time.time() - 4000  # an age in hours: its text stands still for a test
        backend.live(*(container(f"service-{number}", started_at=started) for number in range(5)))
    else:
        backend.live(*shop())
        threading.Thread(target=_write, args=(backend, done), name="busy", daemon=True).start()
    try:
        return run(backend, control, title="shop", theme=cast(ThemeChoice, theme))
    finally:
        done.set()


def _write(backend: ScriptedBackend, done: threading.Event) -> None:
    turn = 0
    while not done.wait(0.3):
        turn += 1
        for key in ("docker/web-1", "docker/api-1", "docker/worker-1"):
            backend.emit(log(key, f'127.0.0.1 - "GET /search?q={turn} HTTP/1.1" 200 {turn * 37}'))
            if turn % 5 == 0:
                backend.emit(log(key, f"ERROR: [/foo] upstream refused the connection, attempt {turn}", "stderr"))
            backend.emit(Sample(key, time.time(), 0.03 * (turn % 7), 50_000_000 + turn * 10_000, 268_435_456))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "busy", sys.argv[2] if len(sys.argv) > 2 else "auto"))
