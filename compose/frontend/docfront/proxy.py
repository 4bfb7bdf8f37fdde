"""The way from the page to the backend: /api, streamed in both directions."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import anyio
import httpx
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from docfront.body import IncomingBody
from docfront.errors import error_response
from docfront.headers import end_to_end, forwarded
from docfront.metrics import BACKEND_SECONDS, CLIENT_GONE
from docfront.origin import is_cross_origin_change
from docfront.settings import Settings
from docfront.spreading import SpreadTransport

logger = logging.getLogger("docfront.proxy")

# How long a client should wait before it tries again, in seconds: a restarted backend is ready after about this time.
RETRY_AFTER = "2"
# Below uvicorn's default of 5 s, so that an idle connection is closed on this side first.
KEEPALIVE_SECONDS = 4.0


def backend_client(settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> httpx.AsyncClient:
    """Return the pooled client for the backend; `transport` stands in for the network."""
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=KEEPALIVE_SECONDS)
    connect = settings.backend_connect_timeout
    return httpx.AsyncClient(
        base_url=settings.backend_url,
        transport=transport or SpreadTransport(httpx.AsyncHTTPTransport(limits=limits, trust_env=False)),
        timeout=httpx.Timeout(settings.backend_timeout, connect=connect, pool=connect),
        trust_env=False,
    )


class Proxy:
    """An ASGI endpoint that relays to the backend and always answers, also when the backend does not."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Relay one request; given up as soon as its client is gone."""
        body = IncomingBody(receive)
        async with anyio.create_task_group() as group:

            async def stop_when_client_gone() -> None:
                await body.wait_gone()
                CLIENT_GONE.inc()
                group.cancel_scope.cancel()

            group.start_soon(stop_when_client_gone)
            await self._relay(scope, body, receive, send)
            group.cancel_scope.cancel()

    async def _relay(self, scope: Scope, body: IncomingBody, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        refusal = _refusal(scope, headers)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        has_body = "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
        if not has_body:
            await body.drain()
        try:
            answer = await self._ask(scope, body.chunks() if has_body else None)
        except httpx.TransportError as error:
            await _explain(error, scope)(scope, receive, send)
            return
        try:
            await _pass_on(answer, scope, send)
        finally:
            with anyio.CancelScope(shield=True):
                await answer.aclose()

    async def _ask(self, scope: Scope, body: AsyncIterator[bytes] | None) -> httpx.Response:
        """Return the backend's answer with its body unread; raises httpx.TransportError."""
        request_headers = forwarded(scope, scope["state"]["request_id"])
        target: bytes = scope.get("raw_path") or scope["path"].encode()
        if scope["query_string"]:
            target += b"?" + scope["query_string"]
        url = self._client.base_url.copy_with(raw_path=target)

        def request() -> httpx.Request:
            # Built by hand: the client would add its own Accept and Accept-Encoding to the browser's.
            return httpx.Request(scope["method"], url, headers=request_headers, content=body)

        with BACKEND_SECONDS.time():
            try:
                return await self._client.send(request(), stream=True)
            except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError, httpx.ConnectError):
                # An idle connection may be closed by the backend in the very moment it is used again. Reading once more
                # changes nothing there; a write may have been done and is never repeated.
                if body is not None or scope["method"] not in ("GET", "HEAD"):
                    raise
                return await self._client.send(request(), stream=True)


def _refusal(scope: Scope, headers: Headers) -> Response | None:
    if any(segment in (".", "..") for segment in scope["path"].split("/")):
        return error_response(400, "bad_path", "The path must not contain '.' or '..' segments.")
    if is_cross_origin_change(scope["method"], headers):
        return error_response(403, "cross_origin", "Changes are accepted from this service's own page only.")
    return None


def _explain(error: httpx.TransportError, scope: Scope) -> Response:
    """Translate a transport failure into the answer the page understands."""
    reason = str(error) or type(error).__name__
    logger.warning("%s %s: backend: %s (%s)", scope["method"], scope["path"], reason, type(error).__name__)
    retry = {"retry-after": RETRY_AFTER}
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return error_response(503, "backend_unavailable", "The backend is not reachable.", retry)
    if isinstance(error, httpx.PoolTimeout):
        return error_response(503, "backend_busy", "The backend has too much to do.", retry)
    if isinstance(error, httpx.TimeoutException):
        return error_response(504, "backend_timeout", "The backend did not answer in time.", retry)
    return error_response(502, "backend_unavailable", "The backend broke off before it answered.", retry)


async def _pass_on(answer: httpx.Response, scope: Scope, send: Send) -> None:
    # Date and Server are this server's to say; the request id is added on the way out.
    headers = end_to_end(answer.headers.raw, b"date", b"server", b"x-request-id")
    await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
    try:
        async for chunk in answer.aiter_raw():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    except httpx.TransportError as error:
        # The status is out already. Leaving the body unfinished makes the server cut the connection, which is the only
        # honest sign left: ending it properly would pass a part off as the whole.
        reason = str(error) or type(error).__name__
        logger.warning("%s %s: backend broke off in the answer: %s", scope["method"], scope["path"], reason)
        return
    await send({"type": "http.response.body", "body": b""})
