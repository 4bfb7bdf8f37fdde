"""Long lists without the garbage collector: it walks every object that is decoded, again and again.

Measured: 70 MB of pods in pages of 500 cost 3.2 s of CPU with it and 0.9 s without. What is decoded has no cycles.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_depth = 0
_was_enabled = False


@contextmanager
def collection_paused() -> Iterator[None]:
    """Keep the collector from running in any thread meanwhile; blocks of several threads may overlap."""
    global _depth, _was_enabled
    with _lock:
        _depth += 1
        if _depth == 1:
            _was_enabled = gc.isenabled()
            gc.disable()
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0 and _was_enabled:
                gc.enable()
