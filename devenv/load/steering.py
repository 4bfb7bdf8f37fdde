"""Which load is due now: a fixed shape, or one that looks at what is measured."""

from __future__ import annotations

import time
from typing import Any

from devenv.core.errors import DevenvError
from devenv.load.hpa_shape import HpaCourse
from devenv.load.knee import is_saturated
from devenv.load.recording import read_recording
from devenv.load.session import Session
from devenv.load.shapes import OWN, Point, Wish, find


class Steering:
    """Gives the point of the shape for now; None when the run is over."""

    def __init__(self, wish: Wish, session: Session, options: Any) -> None:
        self._began = time.monotonic()
        self._wish = wish
        self._session = session
        self._rate: float | None = options.rate if session.plan.options["open"] else None
        self._shape = None if options.shape in ("hpa", OWN) else find(options.shape)
        self._course = HpaCourse(wish, options.replicas, lambda: read_recording(session.folder), session.note)
        self._last = ""

    def point(self) -> Point | None:
        """Return the load that is due; a course that cannot go on ends the run as inconclusive."""
        if self._shape is None:
            try:
                return self._course.point()
            except DevenvError as error:
                self._session.doubts.append(f"{error.message}. {error.hint}".rstrip(". "))
                return None
        point = self._shape(time.monotonic() - self._began, self._wish)
        if point is not None and point.phase.startswith("step ") and point.phase != self._last:
            if self._last and is_saturated(read_recording(self._session.folder), self._rate):
                return None
            self._last = point.phase
        return point
