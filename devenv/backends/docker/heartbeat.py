"""Whether the engine still answers while somebody waits for what it does: docker itself waits for ever, silently."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Final

from devenv.backends.docker.client import CONNECT_TIMEOUT, connect, hint_for
from devenv.backends.docker.endpoint import Endpoint
from devenv.core.errors import DevenvError, EngineUnreachable

EVERY: Final = 5.0  # seconds between an answer and the next question
TELL_EVERY: Final = 3.0  # seconds of silence: then it is told, again and again
GIVE_UP_AFTER: Final = 30.0  # seconds of silence of an engine that has answered before: a busy one may take long


class Heartbeat:
    """Asks the engine in a thread, from entering to leaving.

    `tell` gets a sentence while an answer is waited for. Where none comes, `error` is set and `give_up` called, once.
    An engine that refuses or is gone is not silent: whoever talks to it learns that by itself.
    """

    def __init__(self, endpoint: Endpoint, tell: Callable[[str], None], give_up: Callable[[], None]) -> None:
        self._endpoint = endpoint
        self._tell = tell
        self._give_up = give_up
        self._over = threading.Event()
        self.error: EngineUnreachable | None = None

    def __enter__(self) -> Heartbeat:
        """Begin to ask."""
        threading.Thread(target=self._watch, name="docker-heartbeat", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ask no more."""
        self._over.set()

    def _watch(self) -> None:
        limit = CONNECT_TIMEOUT
        while not self._over.is_set():
            answered = threading.Event()
            threading.Thread(target=self._ask, args=(answered,), name="docker-ping", daemon=True).start()
            asked = time.monotonic()
            while not answered.wait(TELL_EVERY) and not self._over.is_set():
                waited = time.monotonic() - asked
                if waited >= limit:
                    reason = f"no answer within {limit:.0f} s"
                    self.error = EngineUnreachable(
                        f"no Docker Engine answers at {self._endpoint.shown}: {reason}", hint_for(self._endpoint)
                    )
                    self._give_up()
                    return
                self._tell(f"still waiting for the Docker Engine at {self._endpoint.shown} ({waited:.0f} s)")
            limit = GIVE_UP_AFTER
            self._over.wait(EVERY)

    def _ask(self, answered: threading.Event) -> None:
        try:
            ping(self._endpoint, GIVE_UP_AFTER + TELL_EVERY)
        finally:
            answered.set()


def ping(endpoint: Endpoint, timeout: float) -> None:
    """Return when the engine has answered anything, refused to, or the seconds of `timeout` are over."""
    if endpoint.scheme != "unix":
        with suppress(DevenvError):
            connect(endpoint, timeout).close()
        return
    # By hand, so that the SDK need not be imported for it.
    with suppress(OSError), socket.socket(socket.AF_UNIX) as engine:
        engine.settimeout(timeout)
        engine.connect(endpoint.host.removeprefix("unix://"))
        engine.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\nConnection: close\r\n\r\n")
        engine.recv(1)
