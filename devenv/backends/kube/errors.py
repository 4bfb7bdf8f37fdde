"""What an API server or a kubeconfig may answer with instead of what was asked for.

KubeError             1  any other refusal or failure of the API server; `status` is its HTTP status
├── Unreachable      13  nothing answers at the address, or TLS fails, or the answer stops in the middle
│   └── Silent           an open stream was quiet for longer than a live one may be: half-open, or asleep
├── BadKubeconfig     2  the kubeconfig is missing, broken, or has no such context
├── Unauthorized      4  401, also after the credentials were read anew
├── Forbidden         4  403: RBAC, or an admission rule such as a quota or the restricted profile
├── NotFound          1  404: no such object, or no such kind
├── Conflict          1  409: changed meanwhile, exists already, or fields that another manager owns
├── Gone              1  410: the resource version is too old; list again
├── TooManyRequests   1  429: the server is busy, or a disruption budget forbids an eviction
└── Invalid           1  422: the object's fields are wrong
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from devenv.core.errors import EXIT_NO_CLUSTER, EXIT_NO_PERMISSION, DevenvError
from devenv.core.text import sanitize

_LONGEST: Final = 2_000  # characters of a server's message: a validation error of a large object quotes all of it
_MANAGER: Final = re.compile(r'conflict with "((?:[^"\\]|\\.)*)"')


class KubeError(DevenvError):
    """What the API server refused: `status` is HTTP's (0: there was none), `reason` is Kubernetes' word for it."""

    title: ClassVar[str] = "cluster"

    def __init__(self, message: str, hint: str = "", *, status: int = 0, reason: str = "") -> None:
        super().__init__(message, hint)
        self.status = status
        self.reason = reason


class Unreachable(KubeError):
    """No API server answers, or the connection broke: `broke` where it did in the middle of an answer."""

    exit_code = EXIT_NO_CLUSTER
    title = "cluster unreachable"
    broke: bool = False


class Silent(Unreachable):
    """A stream was quiet for longer than a live one is: the connection may be dead without having been closed."""


class BadKubeconfig(KubeError):
    """The kubeconfig cannot be used; names the file and the way out."""

    exit_code = 2
    title = "kubeconfig"


class Unauthorized(KubeError):
    """The API server does not accept the credentials (401), or a credential plugin gave none."""

    exit_code = EXIT_NO_PERMISSION
    title = "not signed in"


class Forbidden(KubeError):
    """The API server does not allow it (403)."""

    exit_code = EXIT_NO_PERMISSION
    title = "not allowed"


class NotFound(KubeError):
    """There is no such object or kind (404)."""


class Conflict(KubeError):
    """The object changed meanwhile, exists already, or others own the fields: `causes` are (manager, field)."""

    causes: tuple[tuple[str, str], ...] = ()


class Gone(KubeError):
    """The resource version or the continue token is too old (410)."""


class TooManyRequests(KubeError):
    """The server asks to come back later (429): `retry_after` seconds, 0 where it does not say."""

    retry_after: float = 0.0
    blocked_by_budget: bool = False


class Invalid(KubeError):
    """The object is not valid (422, or 400): `causes` are (field, message)."""

    causes: tuple[tuple[str, str], ...] = ()


_CLASSES: Final[dict[int, type[KubeError]]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
    429: TooManyRequests,
}
_HINTS: Final = {
    401: "Sign in again: the kubeconfig's user is not accepted by this cluster.",
    403: "Ask for the permission, or use a context whose user has it: `kubectl auth can-i --list` shows what it may.",
    429: "The API server is busy. Try again in a moment.",
}


def error_of(status: int, body: bytes | str | Mapping[str, Any], headers: Mapping[str, str] | None = None) -> KubeError:
    """Build the error that an answer or a watch's ERROR object tells: a Status object, or whatever a proxy sent."""
    answer = body if isinstance(body, Mapping) else _decoded(body)
    status = status or _number(answer.get("code"))
    reason = sanitize(str(answer.get("reason") or ""))
    message = sanitize(str(answer.get("message") or f"The API server answered with {status}"))[:_LONGEST]
    error = _CLASSES.get(status, KubeError)(message, _HINTS.get(status, ""), status=status, reason=reason)
    details = answer.get("details")
    if not isinstance(details, Mapping):
        details = {}
    causes = [cause for cause in details.get("causes") or () if isinstance(cause, Mapping)]
    if isinstance(error, Conflict):
        error.causes = tuple((_manager(cause), sanitize(str(cause.get("field") or ""))) for cause in causes)
    elif isinstance(error, Invalid):
        error.causes = tuple(
            (sanitize(str(cause.get("field") or "")), sanitize(str(cause.get("message") or ""))) for cause in causes
        )
    elif isinstance(error, TooManyRequests):
        after = _number((headers or {}).get("Retry-After")) or _number(details.get("retryAfterSeconds"))
        error.retry_after = float(after)
        error.blocked_by_budget = any(cause.get("reason") == "DisruptionBudget" for cause in causes)
        if error.blocked_by_budget:
            error.hint = "A PodDisruptionBudget forbids it now: scale up, or wait until other pods are ready."
    return error


def _decoded(body: bytes | str) -> Mapping[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    if isinstance(answer, dict):
        return answer
    text = sanitize(body).strip()
    return {"message": text} if text else {}


def _number(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        return 0


def _manager(cause: Mapping[str, Any]) -> str:
    """Return who owns the field, from `conflict with "kubectl" using apps/v1` (apimachinery, managedfields)."""
    match = _MANAGER.search(str(cause.get("message") or ""))
    return sanitize(match.group(1)) if match else ""
