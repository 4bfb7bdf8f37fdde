"""Writes and reads of a project as devenv.toml describes them, and a writer that keeps every acknowledgement."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from pathlib import Path

import httpx

from devenv.core.errors import DevenvError
from devenv.core.verify_settings import CallSettings, PersistenceSettings, ReloadSettings
from devenv.verify.http import Endpoint
from devenv.verify.waiting import VerificationFailed

PAUSE = 0.02  # seconds between two writes of a writer, and after one that failed
PATIENCE = 5.0  # seconds for one write


def new_nonce() -> str:
    """Return a word that was never used before; letters first, as search engines like their words."""
    return f"n{uuid.uuid4().hex[:16]}"


class Persistence:
    """What a project writes and finds again. One collection (`prepare`) is made for each stack."""

    def __init__(self, settings: PersistenceSettings, endpoint: Callable[[str], Endpoint]) -> None:
        self._settings = settings
        self._endpoint = endpoint
        self._kept = ""

    def prepare(self) -> None:
        """Make what the writes need, once; raises VerificationFailed where the project refuses."""
        call = self._settings.prepare
        if call is None or self._kept:
            return
        answer = self._send(call, new_nonce())
        if not _fits(call, answer):
            raise VerificationFailed(f"{call.method} {call.path} to prepare writes", _told(answer))
        self._kept = str(answer.json()[call.keep]) if call.keep else "prepared"

    def forget(self) -> None:
        """The store was emptied: what `prepare` made is gone."""
        self._kept = ""

    def write(self, nonce: str) -> bool:
        """Write it and return whether it was acknowledged; httpx's errors pass."""
        self.prepare()
        return _fits(self._settings.write, self._send(self._settings.write, nonce))

    def read(self, nonce: str) -> bool:
        """Return whether it is found; httpx's errors pass, and an answer that is an error raises VerificationFailed."""
        call = self._settings.read
        answer = self._send(call, nonce)
        if answer.status_code >= 500:
            raise VerificationFailed(f"{call.method} {call.path} to answer", _told(answer))
        return answer.is_success and call.contains.replace("{nonce}", nonce) in answer.text

    def _send(self, call: CallSettings, nonce: str) -> httpx.Response:
        path, body = (text.replace("{nonce}", nonce).replace("{kept}", self._kept) for text in (call.path, call.body))
        options = {"content": body, "headers": {"Content-Type": "application/json"}} if body else {}
        return self._endpoint(call.endpoint).request(call.method, path, timeout=PATIENCE, **options)


class Writer:
    """Writes in a thread for as long as it runs, and remembers what was acknowledged."""

    def __init__(self, persistence: Persistence) -> None:
        self._persistence = persistence
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="verify-writer", daemon=True)
        self.acknowledged: list[str] = []
        self.refused = 0

    def start(self) -> Writer:
        """Begin once writes are possible."""
        self._persistence.prepare()
        self._thread.start()
        return self

    def stop(self) -> None:
        """End; a write in flight is finished."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join(PATIENCE + 1.0)

    def lost(self) -> list[str]:
        """Read back what was acknowledged and return what is not found."""
        return [nonce for nonce in list(self.acknowledged) if not self._persistence.read(nonce)]

    def _run(self) -> None:
        while not self._over.wait(PAUSE):
            nonce = new_nonce()
            try:
                done = self._persistence.write(nonce)
            except httpx.HTTPError:
                done = False
            if done:
                self.acknowledged.append(nonce)
            else:
                self.refused += 1


class Reload:
    """One source file of the private copy, and the answer that shows its change."""

    def __init__(self, settings: ReloadSettings, root: str, folder: str, endpoint: Endpoint) -> None:
        self.settings = settings
        self.service = settings.service
        self.endpoint = endpoint
        self.file = Path(folder) / settings.file.relative_to(root)
        if not self.file.is_file():
            raise DevenvError(f"{settings.file} does not exist", "Correct [[verify.reload]] file in devenv.toml.")
        self._original = self.file.read_text("utf-8")
        if settings.find not in self._original:
            raise DevenvError(
                f"{settings.file} does not contain {settings.find!r}", "Correct [[verify.reload]] find in devenv.toml."
            )

    def apply(self, nonce: str) -> None:
        """Change the source."""
        text = self._original.replace(self.settings.find, self.settings.replace.replace("{nonce}", nonce), 1)
        self.file.write_text(text, "utf-8")

    def served(self, nonce: str) -> bool:
        """Whether the change is in the answer; False while nothing answers."""
        try:
            return nonce in self.endpoint.get(self.settings.path, timeout=PATIENCE).text
        except httpx.HTTPError:
            return False

    def break_(self) -> None:
        """Put a syntax error at the end of the source."""
        self.file.write_text(self._original + self.settings.broken, "utf-8")

    def restore(self) -> None:
        """Put the source back as it was; a file that is as it was is not touched, which would be a change too."""
        if self.file.read_text("utf-8") != self._original:
            self.file.write_text(self._original, "utf-8")


def _fits(call: CallSettings, answer: httpx.Response) -> bool:
    return answer.status_code == call.status if call.status else answer.is_success


def _told(answer: httpx.Response) -> str:
    return f"{answer.status_code} {answer.text[:300]!r}"
