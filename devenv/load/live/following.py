"""Follows the files of a run, and reads those of one that has ended."""

from __future__ import annotations

import time

from devenv.core.errors import DevenvError
from devenv.load.live.process import LiveLoad, read_json
from devenv.load.live.state import LoadState
from devenv.load.recording.lines import BASE, LOAD, SCHEMA, WATCHED, Tail
from devenv.load.reports.data import OUTCOME


class Following:
    """Keeps the state of one run up to date; the first look reads all that is there, so it belongs into a thread."""

    def __init__(self, live: LiveLoad) -> None:
        self.live = live
        self.state = LoadState()
        self._load = Tail(live.folder / LOAD)
        self._watched = Tail(live.folder / WATCHED)

    def look(self) -> None:
        """Read what is new; raises DevenvError for the recording of another version."""
        state, folder = self.state, self.live.folder
        if state.over:
            return
        is_over = self.live.is_over  # before the last lines are read, or they might be missed
        if not state.run:
            state.run = read_json(folder / BASE)
        if state.run:
            if state.run.get("schema") != SCHEMA:
                state.over = True  # as far as anybody here can see
                raise DevenvError(f"{folder} was not recorded by this version of devenv", "Use the version that did.")
            state.take_load(self._load.read())
            state.take_target(self._watched.read())
        if is_over or state.began is None:
            state.last_words = self.live.last_words()
        if is_over:
            state.outcome = read_json(folder / OUTCOME)
            code = self.live.exit_code
            state.exit_code = state.outcome.get("exit_code") if code is None else code
            state.ended = time.time()
            state.over, state.stopping = True, False
