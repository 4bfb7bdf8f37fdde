"""The way from the page to the backend: /api, streamed in both directions."""

from __future__ import annotations

import logging
import time

import aiohttp
import anyio
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from docfront.backend import Backend, BackendError
from docfront.body import IncomingBody
from docfront.errors import error_response
from docfront.headers import end_to_end, forwarded
from docfront.metrics import BACKEND_SECONDS, CLIENT_GONE
from docfront.origin import is_cross_origin_change
from docfront.overload import Room, refusal

logger = logging.getLogger("docfront.proxy")

# How long a client should wait before it tries again, in seconds: a restarted backend is ready after about this time.
RETRY_AFTER = "2"


class Proxy:
    """An ASGI endpoint that relays to the backend and always answers, also when the backend does not."""

    def __init__(self, backend: Backend, most: int) -> None:
        self._backend = backend
        self._room = Room(most)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Relay one request; given up as soon as its client is gone."""
        headers = Headers(scope=scope)
        refused = refusal() if self._room.is_full else _refusal(scope, headers)
        if refused is not None:
            await refused(scope, receive, send)
            return
        body = IncomingBody(receive)
        with self._room.taken():
            async with anyio.create_task_group() as group:

                async def stop_when_client_gone() -> None:
                    await body.wait_gone()
                    CLIENT_GONE.inc()
                    group.cancel_scope.cancel()

                group.start_soon(stop_when_client_gone)
                await self._relay(scope, headers, body, receive, send)
                group.cancel_scope.cancel()

    async def _relay(self, scope: Scope, headers: Headers, body: IncomingBody, receive: Receive, send: Send) -> None:
        has_body = "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
        if not has_body:
            await body.drain()
        target = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
        if scope["query_string"]:
            target += "?" + scope["query_string"].decode("latin-1")
        sent = forwarded(scope, scope["state"]["request_id"])
        begin = time.perf_counter()
        try:
            answer = await self._backend.ask(scope["method"], target, sent, body.chunks() if has_body else None)
        except BackendError as error:
            await _explain(error, scope)(scope, receive, send)
            return
        finally:
            BACKEND_SECONDS.observe(took := time.perf_counter() - begin)
        # A change may take long for reasons of its own, and a refusal is soon made.
        if scope["method"] in ("GET", "HEAD") and answer.status != 503:
            self._room.answered(took)
        try:
            await _pass_on(answer, scope, send)
        finally:
            answer.close()  # gives the connection back where the answer was read to its end


def _refusal(scope: Scope, headers: Headers) -> Response | None:
    if any(segment in (".", "..") for segment in scope["path"].split("/")):
        return error_response(400, "bad_path", "The path must not contain '.' or '..' segments.")
    if is_cross_origin_change(scope["method"], headers):
        return error_response(403, "cross_origin", "Changes are accepted from this service's own page only.")
    return None


def _explain(error: BackendError, scope: Scope) -> Response:
    """Translate a failure into the answer the page understands."""
    logger.warning("%s %s: backend: %s (%s)", scope["method"], scope["path"], error, type(error).__name__)
    return error_response(error.status, error.code, error.message, {"retry-after": RETRY_AFTER})


async def _pass_on(answer: aiohttp.ClientResponse, scope: Scope, send: Send) -> None:
    # Date and Server are this server's to say; the request id is added on the way out.
    headers = end_to_end(answer.raw_headers, b"date", b"server", b"x-request-id")
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    try:
        async for chunk in answer.content.iter_any():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    except (aiohttp.ClientError, TimeoutError) as error:
        # The status is out already. Leaving the body unfinished makes the server cut the connection, which is the only
        # honest sign left: ending it properly would pass a part off as the whole.
        reason = str(error) or type(error).__name__
        logger.warning("%s %s: backend broke off in the answer: %s", scope["method"], scope["path"], reason)
        return
    await send({"type": "http.response.body", "body": b""})
