"""Header rules: what a proxy must not pass on, what it adds, and what protects the page."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

RawHeaders = list[tuple[bytes, bytes]]

# RFC 9110, section 7.6.1, and the two that old clients still send.
HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)

SECURITY = {
    "content-security-policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def end_to_end(raw: Iterable[tuple[bytes, bytes]], *also_drop: bytes) -> RawHeaders:
    """Return the headers that belong to the message, not to one connection; names in lower case."""
    pairs = [(name.lower(), value) for name, value in raw]
    named = {
        token.strip().lower() for name, value in pairs if name == b"connection" for token in value.split(b",") if token
    }
    drop = HOP_BY_HOP | named | set(also_drop)
    return [(name, value) for name, value in pairs if name not in drop]


def forwarded(scope: Scope, request_id: str) -> RawHeaders:
    """Return the headers of a request as the backend gets them; earlier hops stay in front of this one."""
    raw = end_to_end(scope["headers"], b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-request-id")
    incoming = Headers(scope=scope)
    client = scope.get("client")
    hops = [*incoming.getlist("x-forwarded-for"), *([client[0]] if client else [])]
    added = {
        "x-forwarded-for": ", ".join(hops),
        "x-forwarded-proto": incoming.get("x-forwarded-proto", scope["scheme"]),
        "x-forwarded-host": incoming.get("x-forwarded-host", incoming.get("host", "")),
        "x-request-id": request_id,
    }
    return raw + [(name.encode("ascii"), value.encode("latin-1")) for name, value in added.items() if value]


def request_id_of(headers: Mapping[str, str]) -> str:
    """Return the client's request id when it is one that is safe in a log line, else a new one."""
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


class HeadersMiddleware:
    """Give every answer the protective headers and the request id, whoever made it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application and add to the start of its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = request_id_of(Headers(scope=scope))
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update({**SECURITY, "x-request-id": request_id})
            await send(message)

        await self._app(scope, receive, send_with_headers)
