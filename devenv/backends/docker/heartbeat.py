"""Whether the engine still answers while somebody waits for what it does: docker itself waits for ever, silently."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Final
from urllib.parse import quote

from devenv.backends.docker.client import CONNECT_TIMEOUT, connect, engine_errors, hint_for
from devenv.backends.docker.endpoint import Endpoint
from devenv.backends.docker.plain import ask
from devenv.core.errors import DevenvError, EngineUnreachable

EVERY: Final = 5.0  # seconds between an answer and the next question
TELL_EVERY: Final = 3.0  # seconds of silence between two reports of it
GIVE_UP_AFTER: Final = 30.0  # seconds of silence of an engine that has answered before: a busy one may take long


class Heartbeat:
    """Asks the engine in a thread, from entering to leaving.

    `tell` gets a sentence while an answer is waited for. Where none comes, `error` is set and `give_up` called, once.
    An engine that refuses or is gone is not silent: whoever talks to it learns that by itself.

    An engine may answer a ping and hang on a request, for instance when one container holds a lock. So the containers
    of `project`, where one is named, are listed too, and each of those whose service is in `logs` is asked once for the
    last line that it printed.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        tell: Callable[[str], None],
        give_up: Callable[[], None],
        *,
        project: str = "",
        logs: frozenset[str] = frozenset(),
    ) -> None:
        self._endpoint = endpoint
        self._tell = tell
        self._give_up = give_up
        self._project = project
        self._logs = logs
        self._read: set[str] = set()  # ids of the containers whose log has answered
        self._limit = CONNECT_TIMEOUT
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
        while not self._over.is_set():
            try:
                self._beat()
            except EngineUnreachable as error:
                self.error = error
                self._give_up()
                return
            self._over.wait(EVERY)

    def _beat(self) -> None:
        self._answer("/_ping", "")
        self._limit = GIVE_UP_AFTER
        if not self._project:
            return
        labels = json.dumps(
            {"label": [f"com.docker.compose.project={self._project}", "com.docker.compose.oneoff=False"]}
        )
        listed = self._answer(f"/containers/json?all=1&filters={quote(labels)}", "the list of containers")
        for name, service, container_id in _containers(listed):
            if service in self._logs and container_id not in self._read and not self._over.is_set():
                path = f"/containers/{container_id}/logs?stdout=1&stderr=1&tail=1"
                self._answer(path, f"the log of {name}")
                self._read.add(container_id)

    def _answer(self, path: str, what: str) -> bytes:
        """Return what the engine answers, nothing where it refuses or is gone; raises EngineUnreachable."""
        where = self._endpoint.shown
        answers: list[bytes] = []
        answered = threading.Event()

        def question() -> None:
            try:
                answers.append(request(self._endpoint, path, GIVE_UP_AFTER + TELL_EVERY))
            finally:
                answered.set()

        threading.Thread(target=question, name="docker-ping", daemon=True).start()
        asked = time.monotonic()
        while not answered.wait(TELL_EVERY) and not self._over.is_set():
            waited = time.monotonic() - asked
            if waited >= self._limit:
                reason = f"no answer within {self._limit:.0f} s"
                if what:
                    hint = "A container may hold it up: `docker ps`, the engine's own log, or restart the engine."
                    raise EngineUnreachable(f"the Docker Engine at {where} does not give {what}: {reason}", hint)
                raise EngineUnreachable(f"no Docker Engine answers at {where}: {reason}", hint_for(self._endpoint))
            self._tell(
                f"still waiting for {what + ' from ' if what else ''}the Docker Engine at {where} ({waited:.0f} s)"
            )
        return b"".join(answers)


def request(endpoint: Endpoint, path: str, timeout: float) -> bytes:
    """Return the body that the engine answers with; nothing where it refuses, or is silent for `timeout` seconds."""
    if endpoint.scheme != "unix":
        with suppress(DevenvError), engine_errors(endpoint):
            client = connect(endpoint, timeout)
            try:
                return client.get(client.base_url + path).content
            finally:
                client.close()
        return b""
    with suppress(OSError, ValueError):
        return ask(endpoint.host.removeprefix("unix://"), path, timeout)
    return b""


def _containers(listed: bytes) -> list[tuple[str, str, str]]:
    """Return name, service and id of each container in an answer to /containers/json."""
    with suppress(ValueError, TypeError, KeyError, IndexError, RecursionError):
        containers: list[dict[str, Any]] = json.loads(listed or b"[]")
        return [
            (item["Names"][0].removeprefix("/"), item["Labels"]["com.docker.compose.service"], item["Id"])
            for item in containers
        ]
    return []
