"""Header rules: what a proxy must not pass on, what it adds, and what protects the page."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping

from multidict import CIMultiDict
from starlette.datastructures import Headers
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

_SECURITY_RAW: RawHeaders = [(name.encode("ascii"), value.encode("ascii")) for name, value in SECURITY.items()]
_OURS = frozenset({name for name, _ in _SECURITY_RAW} | {b"x-request-id"})

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def end_to_end(raw: Iterable[tuple[bytes, bytes]], *also_drop: bytes) -> RawHeaders:
    """Return the headers that belong to the message, not to one connection; names in lower case."""
    pairs = [(name.lower(), value) for name, value in raw]
    named = {
        token.strip().lower() for name, value in pairs if name == b"connection" for token in value.split(b",") if token
    }
    return [
        (name, value) for name, value in pairs if name not in HOP_BY_HOP and name not in also_drop and name not in named
    ]


def forwarded(scope: Scope, request_id: str) -> CIMultiDict[str]:
    """Return the headers of a request as the backend gets them; earlier hops stay in front of this one."""
    # `Expect` is between the browser and this server, which has answered it by reading on.
    raw = end_to_end(
        scope["headers"], b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-request-id", b"expect"
    )
    sent = CIMultiDict((name.decode("ascii"), _text(value)) for name, value in raw)
    incoming = Headers(scope=scope)
    client = scope.get("client")
    hops = [*incoming.getlist("x-forwarded-for"), *([client[0]] if client else [])]
    added = {
        "x-forwarded-for": ", ".join(hops),
        "x-forwarded-proto": incoming.get("x-forwarded-proto", scope["scheme"]),
        "x-forwarded-host": incoming.get("x-forwarded-host", incoming.get("host", "")),
        "x-request-id": request_id,
    }
    sent.update({name: value for name, value in added.items() if value})
    return sent


def _text(value: bytes) -> str:
    # The client writes UTF-8: a value that is not becomes what HTTP once took it for.
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


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
                others = [header for header in message["headers"] if header[0] not in _OURS]
                message["headers"] = [*others, *_SECURITY_RAW, (b"x-request-id", request_id.encode("ascii"))]
            await send(message)

        await self._app(scope, receive, send_with_headers)
