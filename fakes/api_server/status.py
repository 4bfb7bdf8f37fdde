"""Refusals of the API server, as apimachinery words them (api/errors/errors.go)."""

from __future__ import annotations

import json
from typing import Any

from devenv.backends.kube.kinds import Kind

Object = dict[str, Any]
REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    410: "Expired",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


class Refusal(Exception):
    """An answer of 400 or above; `headers` go with it."""

    def __init__(
        self,
        code: int,
        message: str,
        reason: str = "",
        details: Object | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.headers = headers or {}
        self.status: Object = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason or REASONS.get(code, ""),
            "code": code,
        }
        if details:
            self.status["details"] = details

    @property
    def body(self) -> bytes:
        return json.dumps(self.status).encode() + b"\n"


def not_found(kind: Kind, name: str) -> Refusal:
    details = {"name": name, "group": kind.group, "kind": kind.plural}
    return Refusal(404, f'{kind.full_name} "{name}" not found', details=details)


def already_exists(kind: Kind, name: str) -> Refusal:
    details = {"name": name, "group": kind.group, "kind": kind.plural}
    return Refusal(409, f'{kind.full_name} "{name}" already exists', "AlreadyExists", details)


def changed_meanwhile(kind: Kind, name: str) -> Refusal:
    message = (
        f'Operation cannot be fulfilled on {kind.full_name} "{name}": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    return Refusal(409, message, "Conflict", {"name": name, "group": kind.group, "kind": kind.plural})


def expired(message: str = "The resourceVersion for the provided watch is too old.") -> Refusal:
    return Refusal(410, message, "Expired")


def invalid(kind: Kind, name: str, causes: list[tuple[str, str]]) -> Refusal:
    told = ", ".join(f"{field}: {message}" for field, message in causes)
    details = {
        "name": name,
        "group": kind.group,
        "kind": kind.name,
        "causes": [{"reason": "FieldValueInvalid", "message": message, "field": field} for field, message in causes],
    }
    return Refusal(422, f'{kind.name}.{kind.group} "{name}" is invalid: {told}', "Invalid", details)
