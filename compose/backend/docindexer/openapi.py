"""The OpenAPI 3.1 document; tests hold it against the routes and against every answer they see."""

from __future__ import annotations

from typing import Any

from docindexer import __version__
from docindexer.requests import (
    MAX_BATCH,
    MAX_COLLECTIONS,
    MAX_ID,
    MAX_LIMIT,
    MAX_NAME,
    MAX_OFFSET,
    MAX_QUERY,
    MAX_TITLE,
)

Json = dict[str, Any]

_ID: Json = {"type": "integer", "minimum": 1, "maximum": MAX_ID}
_TIME: Json = {"type": "string", "format": "date-time"}
_TEXT: Json = {"type": "string"}
_COUNT: Json = {"type": "integer", "minimum": 0}
_HTML = "HTML: the document's own text is escaped and each match is in <mark>…</mark>"


def _object(**properties: Json) -> Json:
    return {"type": "object", "required": list(properties), "properties": properties}


def _list(schema: Json) -> Json:
    return {"type": "array", "items": schema}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _said(description: str, schema: Json) -> Json:
    return {**schema, "description": description}


SCHEMAS: Json = {
    "Error": _object(error=_object(code=_said("stable, for programs", _TEXT), message=_said("for people", _TEXT))),
    "Collection": _object(id=_ID, name=_TEXT, documents=_COUNT, created_at=_TIME),
    "NewCollection": _object(
        name=_said("unique; spaces around it are dropped", {"type": "string", "minLength": 1, "maxLength": MAX_NAME})
    ),
    "NewDocument": _object(title={"type": "string", "minLength": 1, "maxLength": MAX_TITLE}, text=_TEXT),
    "DocumentSummary": _object(id=_ID, collection=_ID, title=_TEXT, created_at=_TIME),
    "Document": _object(id=_ID, collection=_ID, title=_TEXT, created_at=_TIME, text=_TEXT),
    "Hit": _object(
        id=_ID,
        collection=_said("the collection's id", _ID),
        collection_name=_TEXT,
        title=_said("plain text", _TEXT),
        title_html=_said(_HTML, _TEXT),
        snippet=_said("the best part of the text. " + _HTML, _TEXT),
        score=_said("BM25 with a weighted title; higher is better", {"type": "number"}),
    ),
    "Ids": _object(ids=_list(_ID)),
    "DocumentPage": _object(total=_COUNT, documents=_list(_ref("DocumentSummary"))),
    "HitPage": _object(total=_said("all matches, exactly", _COUNT), results=_list(_ref("Hit"))),
    "Alive": _object(status={"const": "ok"}, version=_TEXT),
    "Ready": _object(status={"const": "ready"}),
    "NotReady": _object(status={"const": "unavailable"}, code=_TEXT, reason=_said("for people", _TEXT)),
}

_ERRORS = {
    400: "the body is not valid JSON",
    404: "no such collection or document",
    409: "another collection has this name",
    413: "the body is too large (MAX_BODY_BYTES)",
    415: "the body is not declared as application/json",
    422: "a value is missing or wrong",
    503: "the store is not available, or too much is to be done; try again after Retry-After seconds",
}
_BODY_ERRORS = (400, 413, 415, 422)


def _answer(description: str, schema: Json | None) -> Json:
    if schema is None:
        return {"description": description}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _operation(summary: str, status: int, schema: Json | None, errors: tuple[int, ...], **more: Any) -> Json:
    answers = {str(status): _answer("done", schema)}
    answers |= {str(error): _answer(_ERRORS[error], _ref("Error")) for error in sorted(errors)}
    return {"summary": summary, "responses": answers, **more}


def _path(name: str) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": _ID}


def _query(name: str, description: str, schema: Json, required: bool = False) -> Json:
    return {"name": name, "in": "query", "required": required, "description": description, "schema": schema}


def _paging(default: int, largest: int) -> list[Json]:
    return [
        _query("limit", "how many at most", {"type": "integer", "minimum": 1, "maximum": largest, "default": default}),
        _query("offset", "how many to skip", {"type": "integer", "minimum": 0, "maximum": MAX_OFFSET, "default": 0}),
    ]


def _body(schema: Json) -> Json:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


_SEARCH = [
    _query(
        "q",
        "words that must all occur in title or text, the last one as the beginning of a word; any text is valid, and "
        "without a letter or digit there are no results",
        {"type": "string", "maxLength": MAX_QUERY},
        required=True,
    ),
    _query("collection", "search only in the collection with this id", _ID),
    *_paging(20, MAX_LIMIT),
]
_COLLECTION, _DOCUMENT = _path("collection_id"), _path("document_id")

PATHS: Json = {
    "/api/collections": {
        "get": _operation(
            "List collections, oldest first; the header X-Total-Count says how many there are",
            200,
            _list(_ref("Collection")),
            (422, 503),
            parameters=_paging(MAX_COLLECTIONS, MAX_COLLECTIONS),
        ),
        "post": _operation(
            "Create a collection",
            201,
            _ref("Collection"),
            (*_BODY_ERRORS, 409, 503),
            requestBody=_body(_ref("NewCollection")),
        ),
    },
    "/api/collections/{collection_id}": {
        "parameters": [_COLLECTION],
        "get": _operation("Show a collection", 200, _ref("Collection"), (404, 503)),
        "delete": _operation("Delete a collection with its documents", 204, None, (404, 503)),
    },
    "/api/collections/{collection_id}/documents": {
        "parameters": [_COLLECTION],
        "get": _operation(
            "List documents, newest first",
            200,
            _ref("DocumentPage"),
            (404, 422, 503),
            parameters=_paging(20, MAX_LIMIT),
        ),
        "post": _operation(
            f"Add one document or a list of up to {MAX_BATCH}: all of them or, after an error, none",
            201,
            _ref("Ids"),
            (*_BODY_ERRORS, 404, 503),
            requestBody=_body({"oneOf": [_ref("NewDocument"), _list(_ref("NewDocument"))]}),
        ),
    },
    "/api/collections/{collection_id}/documents/{document_id}": {
        "parameters": [_COLLECTION, _DOCUMENT],
        "get": _operation("Show a document", 200, _ref("Document"), (404, 503)),
        "delete": _operation("Delete a document", 204, None, (404, 503)),
    },
    "/api/search": {
        "get": _operation("Find documents, best match first", 200, _ref("HitPage"), (404, 422, 503), parameters=_SEARCH)
    },
    "/health": {"get": _operation("Is the process alive?", 200, _ref("Alive"), ())},
    "/ready": {
        "get": {
            "summary": "Is the store open and writable?",
            "responses": {"200": _answer("yes", _ref("Ready")), "503": _answer("no, and why", _ref("NotReady"))},
        }
    },
    "/metrics": {
        "get": {
            "summary": "Metrics for Prometheus",
            "responses": {"200": {"description": "text exposition", "content": {"text/plain": {"schema": _TEXT}}}},
        }
    },
    "/openapi.json": {"get": _operation("This document", 200, {"type": "object"}, ())},
}

DOCUMENT: Json = {
    "openapi": "3.1.0",
    "info": {
        "title": "doc-indexer",
        "version": __version__,
        "description": "Collections of documents and full-text search in them. Every error is an Error object; any "
        "path may also answer 404 (unknown path), 405 (method) and 500 (defect).",
    },
    "paths": PATHS,
    "components": {"schemas": SCHEMAS},
}
