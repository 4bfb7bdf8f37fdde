"""A message to a Slack or Discord webhook: what was done, where, how it ended, how long it took, and a link.

A webhook's address is its password: it stands in no message, error or log.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import httpx

from devenv.core.errors import DevenvError, UsageError, WaitTimeout
from devenv.core.masking import mask_secrets
from devenv.core.text import human_duration, sanitize

VARIABLE: Final = "NOTIFICATION_WEBHOOK"
_LONGEST: Final = 1900  # characters: Discord takes 2,000 (https://docs.discord.com/developers/resources/webhook)
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
# How a job ended in GitHub's words (https://docs.github.com/actions/reference/workflows-and-actions/contexts) and ours.
_WORDS: Final = {"success": "passed", "failure": "failed", "succeeded": "passed", "skipped": "not run"}
_MARKS: Final = {"passed": "✅", "failed": "❌", "rolled back": "⏪", "cancelled": "⏹️", "not run": "⏭️"}


@dataclass(frozen=True, slots=True)
class Message:
    """What a message says; empty: left out. `seconds` is None where nobody measured."""

    what: str
    verdict: str
    where: str = ""
    seconds: float | None = None
    link: str = ""

    def text(self) -> str:
        """Return it as plain text of at most two lines; the second is the link."""
        verdict = _WORDS.get(self.verdict, self.verdict)
        line = f"{_MARKS.get(verdict, '❔')} {verdict}: {self.what}"
        line += f" in {self.where}" if self.where else ""
        line += f", after {human_duration(self.seconds)}" if self.seconds is not None else ""
        return "\n".join(filter(None, (mask_secrets(sanitize(line))[:_LONGEST], sanitize(self.link)[:_LONGEST])))


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how long a delivery is tried; seconds. The pause doubles each time."""

    tries: int = 4
    timeout: float = 10.0  # of one try, from the name's look-up to the answer
    pause: float = 1.0
    longest_pause: float = 30.0  # whatever the service says in Retry-After


class Webhook:
    """An address of Slack or Discord; raises UsageError for one that is missing or cannot be one."""

    def __init__(self, address: str) -> None:
        where = f"Put it into {VARIABLE}; docs/CI_CD.md says where it comes from."
        if not address.strip():
            raise UsageError("There is no webhook to notify", where)
        try:
            self._url = httpx.URL(address.strip())
        except httpx.InvalidURL:
            raise UsageError("The webhook is no address", where) from None
        if self._url.scheme != "https" and not (self._url.scheme == "http" and self._url.host in _LOOPBACK):
            raise UsageError("The webhook must begin with https://", where)
        if not self._url.host:
            raise UsageError("The webhook names no host", where)
        # https://docs.discord.com/developers/resources/webhook#execute-slackcompatible-webhook
        path = self._url.path.rstrip("/")
        self.service = "Discord" if path.startswith("/api/webhooks/") and not path.endswith("/slack") else "Slack"

    def __repr__(self) -> str:
        """Return it without the address."""
        return f"Webhook({self.service})"

    def send(self, message: Message, patience: Patience = Patience()) -> None:
        """Deliver it; raises DevenvError, and WaitTimeout where nothing ever answered, after all tries."""
        asyncio.run(self._send(self._body(message.text()), patience))

    def _body(self, text: str) -> dict[str, object]:
        if self.service == "Discord":  # a name in the text calls nobody
            return {"content": text, "allowed_mentions": {"parse": []}}
        # https://docs.slack.dev/messaging/formatting-message-text/#escaping
        return {"text": text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")}

    async def _send(self, body: Mapping[str, object], patience: Patience) -> None:
        pause, failure = patience.pause, DevenvError("")
        async with _quiet_client() as client:
            for attempt in range(1, patience.tries + 1):
                wait = pause
                try:
                    async with asyncio.timeout(patience.timeout):
                        request = client.build_request("POST", self._url, json=body)
                        answer = await client.send(request, stream=True)  # of which nobody reads more than the head
                        await answer.aclose()
                except (TimeoutError, httpx.TimeoutException):
                    failure = WaitTimeout(
                        f"{self.service} did not answer within {patience.timeout:.0f} s, {attempt} times",
                        "Nothing else depends on it. Is its status page green, and does a proxy let it through?",
                    )
                except httpx.HTTPError as error:
                    failure = DevenvError(
                        f"{self.service} was not reached, {attempt} times: {type(error).__name__}",
                        "Does this machine reach it? A proxy is named by HTTPS_PROXY.",
                    )
                else:
                    if answer.is_success:
                        return
                    failure = self._refusal(answer, attempt)
                    if answer.status_code != 429 and answer.status_code < 500:
                        break
                    wait = max(wait, min(_seconds(answer.headers.get("retry-after", "")), patience.longest_pause))
                if attempt < patience.tries:
                    await asyncio.sleep(wait)
                    pause = min(pause * 2, patience.longest_pause)
        raise failure from None  # what httpx says may have the address in it

    def _refusal(self, answer: httpx.Response, attempt: int) -> DevenvError:
        status = answer.status_code
        if answer.is_redirect:
            return DevenvError(
                f"{self.service} sends the message elsewhere ({status}), which is not followed",
                "The address is its password, and is shown to nobody. Use the one that the service shows now.",
            )
        if status in (401, 403, 404, 410):
            return DevenvError(
                f"{self.service} does not know this webhook ({status})",
                f"It was revoked or is not complete: make a new one, and put it into {VARIABLE}.",
            )
        times = f", {attempt} times" if attempt > 1 else ""
        return DevenvError(f"{self.service} answered {status}{times}", "Look at its status page, and send it again.")


def _quiet_client() -> httpx.AsyncClient:
    for name in ("httpx", "httpcore"):  # both log addresses
        logging.getLogger(name).setLevel(logging.WARNING)
    return httpx.AsyncClient(follow_redirects=False, timeout=None)


def _seconds(text: str) -> float:
    """Return the seconds of Retry-After; 0 where it has a date, or nothing."""
    try:
        seconds = float(text)
    except ValueError:
        return 0.0
    return seconds if 0 <= seconds < float("inf") else 0.0
