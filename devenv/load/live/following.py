"""Follows the files of a run, and reads those of one that has ended."""

from __future__ import annotations

import time

from devenv.core.errors import DevenvError
from devenv.core.stored import readable
from devenv.load.live.state import LoadState
from devenv.load.outcome import read_outcome
from devenv.load.recording import LOAD, WATCHED, read_run
from devenv.load.runner import LiveLoad
from devenv.runs.lines import Tail


class Following:
    """Keeps the state of one run up to date; the first look reads all that is there, so it belongs into a thread."""

    def __init__(self, live: LiveLoad) -> None:
        self.live = live
        self.state = LoadState()
        self._load = Tail(live.folder / LOAD)
        self._watched = Tail(live.folder / WATCHED)

    def look(self) -> None:
        """Read what is new; raises DevenvError for the recording of another version."""
        state = self.state
        if state.over:
            return
        is_over = self.live.is_over  # before the last lines are read, or they might be missed
        try:
            self._read(is_over)
        except DevenvError:
            state.over = True  # as far as anybody here can see
            raise
        if is_over or state.began is None:
            state.last_words = self.live.last_words()
        if is_over:
            code = self.live.exit_code
            state.exit_code = state.outcome.get("exit_code") if code is None else code
            state.ended = time.time()
            state.over, state.stopping = True, False

    def _read(self, is_over: bool) -> None:
        state, folder = self.state, self.live.folder
        state.run = state.run or read_run(folder) or {}
        with readable(f"the recording in {folder}"):
            if state.run:
                state.take_load(self._load.read())
                state.take_target(self._watched.read())
            if is_over:
                state.outcome = read_outcome(folder) or {}
            _ = state.findings, state.length  # what is shown of the files has to be computable
