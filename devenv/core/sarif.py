"""SARIF 2.1.0: what code-scanning services show beside the lines of a change.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_ROOT: Final = "PROJECTROOT"


def log(
    rules: Sequence[dict[str, Any]], results: Sequence[dict[str, Any]], version: str, unchecked: Sequence[str]
) -> dict[str, Any]:
    """Return a log with one run of devenv; `unchecked` says where it could not look."""
    invocation: dict[str, Any] = {"executionSuccessful": True}
    if unchecked:
        invocation["toolExecutionNotifications"] = [
            {"level": "warning", "message": {"text": text}} for text in unchecked
        ]
    run = {
        "tool": {"driver": {"name": "devenv", "version": version, "rules": list(rules)}},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {_ROOT: {"description": {"text": "the folder of devenv.toml, else the current one"}}},
        "invocations": [invocation],
        "results": list(results),
    }
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def artifact(file: str) -> dict[str, str]:
    """Return the location of a file: absolute, or as seen from the project's root."""
    if file.startswith("/"):
        return {"uri": f"file://{quote(file)}"}
    return {"uri": quote(file), "uriBaseId": _ROOT}
