"""The one shape of an error answer: {"error": {"code", "message"}}."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

_CODES = {404: "not_found", 405: "method_not_allowed"}
_TEXTS = {404: "There is nothing at this address.", 405: "This address does not take this method."}


def error_response(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with the error shape that the backend uses too."""
    return JSONResponse(
        {"error": {"code": code, "message": message}},
        status,
        headers={"cache-control": "no-store", **(headers or {})},
    )


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Give the framework's own refusals (404, 405) the error shape."""
    if not isinstance(error, HTTPException):
        raise error
    status = error.status_code
    return error_response(status, _CODES.get(status, "refused"), _TEXTS.get(status, error.detail), error.headers)


async def on_exception(request: Request, error: Exception) -> Response:
    """Answer an unforeseen failure without its details; the server logs the traceback."""
    return error_response(500, "internal", "The page's server failed; its log says why.")
