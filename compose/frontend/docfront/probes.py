"""/health and /ready."""

from __future__ import annotations

import asyncio
import json
from typing import Final

import aiohttp
from multidict import CIMultiDict
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from docfront.backend import Backend, BackendError

# One probe's budget in seconds, below the 2 s that a health check usually allows.
READY_TIMEOUT: Final = 1.5
_NO_STORE = {"cache-control": "no-store"}


async def health(request: Request) -> Response:
    """Answer 200 as long as the process serves."""
    return JSONResponse({"status": "ok"}, headers=_NO_STORE)


async def ready(request: Request) -> Response:
    """Answer 200 when the backend is ready, else 503 with the reason."""
    reason = await why_not_ready(request.app.state.backend)
    if reason is None:
        return JSONResponse({"status": "ready"}, headers=_NO_STORE)
    return JSONResponse({"status": "unavailable", "reason": reason}, 503, headers={**_NO_STORE, "retry-after": "2"})


async def why_not_ready(backend: Backend) -> str | None:
    """Ask the backend; returns None when it is ready, else a sentence for people."""
    try:
        # A total limit: the client's own limits count each step, and a backend that trickles would pass them.
        async with asyncio.timeout(READY_TIMEOUT):
            answer = await backend.ask("GET", "/ready", CIMultiDict(host=backend.netloc))
            try:
                body = await answer.read()
            finally:
                answer.close()
    except TimeoutError:
        return f"the backend did not answer within {READY_TIMEOUT:g} s"
    except (BackendError, aiohttp.ClientError) as error:
        return f"the backend is not reachable: {error or type(error).__name__}"
    return None if answer.status == 200 else f"the backend is not ready: {_reason_in(answer.status, body)}"


def _reason_in(status: int, answer: bytes) -> str:
    fallback = f"it answered {status}"
    try:
        body = json.loads(answer)
    except ValueError:
        return fallback
    reason = body.get("reason") if isinstance(body, dict) else None
    return reason[:300] if isinstance(reason, str) and reason else fallback
