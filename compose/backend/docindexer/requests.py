"""From a request to checked values; whatever is wrong becomes an ApiError that says what to send instead."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request

from docindexer.store import NewDocument

MAX_NAME = 100  # characters
MAX_TITLE = 500
MAX_QUERY = 1000
MAX_BATCH = 1000  # documents in one request
MAX_LIMIT = 100  # results, and documents of a list
MAX_COLLECTIONS = 1000  # collections of a list
MAX_OFFSET = 100_000
MAX_ID = 2**63 - 1

# How much of a body that is too large is read and thrown away, so that a client that sends first and listens later
# gets the answer and not a reset connection.
DRAIN_BYTES = 16 * 1024 * 1024


class ApiError(Exception):
    """An answer to a request that cannot be done: `code` is stable, `message` is for people."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers


def invalid(message: str) -> ApiError:
    """Return the error for a value that is there but wrong."""
    return ApiError(422, "invalid_request", message)


async def read_json(request: Request, max_bytes: int) -> Any:
    """Read and parse a JSON body; never holds more than `max_bytes` of it."""
    # Asking for this type keeps a foreign web page from writing: a browser must ask before it sends JSON elsewhere.
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise ApiError(415, "unsupported_media_type", "send the body as JSON, with Content-Type: application/json")
    too_large = ApiError(
        413, "body_too_large", f"the body must not have more than {max_bytes} bytes", {"Connection": "close"}
    )
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > max_bytes and "expect" in request.headers:
        raise too_large  # the client waits for leave to send: do not give it
    body = bytearray()
    stream = request.stream()
    async for chunk in stream:
        if len(body) + len(chunk) > max_bytes:
            await _drain(stream)
            raise too_large
        body += chunk
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ApiError(400, "malformed_json", f"the body is not valid JSON: {reason}") from error


async def _drain(stream: AsyncIterator[bytes]) -> None:
    drained = 0
    async for chunk in stream:
        drained += len(chunk)
        if drained > DRAIN_BYTES:
            return


def collection_name(body: Any) -> str:
    """Take the name of a collection to create from a body `{name}`."""
    if not isinstance(body, dict):
        raise invalid('the body must be an object: {"name": "..."}')
    name = _text(body, "name", "").strip()
    if not 1 <= len(name) <= MAX_NAME:
        raise invalid(f"name must have 1 to {MAX_NAME} characters")
    if not name.isprintable():
        raise invalid("name must not contain control characters")
    return name


def new_documents(body: Any) -> list[NewDocument]:
    """Take the documents to add from a body: one `{title, text}`, or a list of them."""
    items = body if isinstance(body, list) else [body]
    if not 1 <= len(items) <= MAX_BATCH:
        raise invalid(f"send 1 to {MAX_BATCH} documents at a time")
    return [_new_document(item, f"document {at}: " if body is items else "") for at, item in enumerate(items)]


def _new_document(item: Any, where: str) -> NewDocument:
    if not isinstance(item, dict):
        raise invalid(where + 'a document must be an object: {"title": "...", "text": "..."}')
    title = _text(item, "title", where).strip()
    if not 1 <= len(title) <= MAX_TITLE:
        raise invalid(f"{where}title must have 1 to {MAX_TITLE} characters")
    return NewDocument(title=title, text=_text(item, "text", where))


def _text(item: dict[str, Any], field: str, where: str) -> str:
    if field not in item:
        raise invalid(f"{where}{field} is missing")
    value = item[field]
    if not isinstance(value, str):
        raise invalid(f"{where}{field} must be a string")
    if "\0" in value:
        raise invalid(f"{where}{field} must not contain NUL (U+0000)")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise invalid(f"{where}{field} has half of a surrogate pair at character {error.start}") from error
    return value


def path_id(request: Request, name: str, code: str) -> int:
    """Take an id from the path; whatever cannot be an id belongs to nothing: 404."""
    number = _number(request.path_params[name])
    if number is None or number > MAX_ID:
        raise ApiError(404, code, f"there is no such {name.removesuffix('_id')}")
    return number


def query_number(request: Request, name: str, default: int, low: int, high: int) -> int:
    """Take a number from the query string."""
    text = request.query_params.get(name)
    if text is None:
        return default
    number = _number(text)
    if number is None or not low <= number <= high:
        raise invalid(f"{name} must be a whole number from {low} to {high}")
    return number


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None
