"""Every error answer: JSON `{"error": {"code", "message"}}`, whatever raised it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ExceptionHandler

from docindexer.requests import ApiError
from docindexer.store import CollectionNotFound, DocumentNotFound, NameTaken, StoreUnavailable

_FIXED: Mapping[type[Exception], tuple[int, str, str]] = {
    CollectionNotFound: (404, "collection_not_found", "there is no such collection"),
    DocumentNotFound: (404, "document_not_found", "there is no such document in this collection"),
    NameTaken: (409, "name_taken", "another collection has this name"),
    ClientDisconnect: (400, "incomplete_body", "the connection ended before the body did"),
    Exception: (500, "internal_error", "the service failed: its log says why"),
}


def exception_handlers(routes: Sequence[Route]) -> dict[Any, ExceptionHandler]:
    """Return Starlette's table of handlers for an application with these routes."""
    allowed: dict[str, set[str]] = {}
    for route in routes:
        allowed.setdefault(route.path, set()).update(route.methods or ())
    methods = {route.endpoint: ", ".join(sorted(allowed[route.path])) for route in routes}

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        status = HTTPStatus(error.status_code)
        headers = dict(error.headers or {})
        message = "there is nothing at this path" if status == 404 else error.detail
        if status == 405:
            # Starlette names the methods of the first route of a path only.
            headers["Allow"] = methods[request.scope["endpoint"]]
            message = f"this path allows {headers['Allow']}"
        return _answer(status, status.name.lower(), message, headers)

    return {
        HTTPException: http_error,
        ApiError: _api_error,
        StoreUnavailable: _store_unavailable,
        **{kind: _fixed_error(kind) for kind in _FIXED},
    }


async def _api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return _answer(error.status, error.code, error.message, error.headers)


async def _store_unavailable(request: Request, error: Exception) -> Response:
    assert isinstance(error, StoreUnavailable)
    return _answer(503, error.code, error.reason, {"Retry-After": "1"})


def _fixed_error(kind: type[Exception]) -> ExceptionHandler:
    async def handler(request: Request, error: Exception) -> Response:
        return _answer(*_FIXED[kind])

    return handler


def _answer(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse({"error": {"code": code, "message": message}}, status, headers=headers)
