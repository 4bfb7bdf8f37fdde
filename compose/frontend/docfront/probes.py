"""/health and /ready."""

from __future__ import annotations

from typing import Final

import anyio
import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

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


async def why_not_ready(client: httpx.AsyncClient) -> str | None:
    """Ask the backend; returns None when it is ready, else a sentence for people."""
    try:
        # A total limit: httpx's own limits count each step, and a backend that trickles would pass them.
        with anyio.fail_after(READY_TIMEOUT):
            answer = await client.get("/ready")
    except TimeoutError:
        return f"the backend did not answer within {READY_TIMEOUT:g} s"
    except httpx.TransportError as error:
        return f"the backend is not reachable: {error or type(error).__name__}"
    if answer.status_code == httpx.codes.OK:
        return None
    return f"the backend is not ready: {_reason_in(answer)}"


def _reason_in(answer: httpx.Response) -> str:
    fallback = f"it answered {answer.status_code}"
    try:
        body = answer.json()
    except ValueError:
        return fallback
    reason = body.get("reason") if isinstance(body, dict) else None
    return reason[:300] if isinstance(reason, str) and reason else fallback
