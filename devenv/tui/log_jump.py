"""A jump to a moment in a log, made as soon as the lines are there. Imported when first wanted."""

from __future__ import annotations

import time
from typing import Final

from devenv.tui.widgets.log_view import LogView

PATIENCE: Final = 10.0  # seconds in which lines may still come that are older than the moment


class LogJump:
    """Puts the view on the newest line before `at`, again with each batch of lines until one is later."""

    def __init__(self, view: LogView, key: str, at: float) -> None:
        self.key = key
        self._view = view
        self._at = at
        self._until = time.monotonic() + PATIENCE
        self._told = False

    def look(self) -> bool:
        """Go there; False once there is nothing left to do."""
        lines = self._view.buffer.lines
        if lines and not self._view.seek(self._at):
            if not self._told:
                self._told = True
                text = "The log of that moment is not there any more; this is the oldest line that was read."
                self._view.notify(text, severity="warning", markup=False)
            return False
        last = lines[-1].at if lines else None
        return time.monotonic() < self._until and (last is None or last <= self._at)
