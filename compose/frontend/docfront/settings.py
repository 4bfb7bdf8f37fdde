"""What the environment may say, checked once at the start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import urlsplit

LOG_LEVELS = ("debug", "info", "warning", "error", "critical")
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"", "0", "false", "no", "off"})


class SettingsError(ValueError):
    """An environment variable has a value that cannot be used."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one process; times in seconds."""

    NAMES: ClassVar[tuple[str, ...]] = (
        "BACKEND_URL",
        "BACKEND_CONNECT_TIMEOUT",
        "BACKEND_TIMEOUT",
        "BACKEND_REQUESTS",
        "HOST",
        "PORT",
        "SHUTDOWN_TIMEOUT",
        "LOG_LEVEL",
        "RELOAD",
    )

    backend_url: str
    backend_connect_timeout: float
    backend_timeout: float
    backend_requests: int
    host: str
    port: int
    shutdown_timeout: int
    log_level: str
    reload: bool

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Read the settings from `environ`; raises SettingsError naming the variable and what it may be."""
        return cls(
            backend_url=_url(environ, "BACKEND_URL", "http://127.0.0.1:8000"),
            backend_connect_timeout=_seconds(environ, "BACKEND_CONNECT_TIMEOUT", 2.0),
            backend_timeout=_seconds(environ, "BACKEND_TIMEOUT", 15.0),
            backend_requests=_whole(environ, "BACKEND_REQUESTS", 100, 1, 10_000),
            host=environ.get("HOST", "").strip() or "127.0.0.1",
            port=_whole(environ, "PORT", 3000, 1, 65535),
            shutdown_timeout=_whole(environ, "SHUTDOWN_TIMEOUT", 8, 1, 600),
            log_level=_choice(environ, "LOG_LEVEL", "info", LOG_LEVELS),
            reload=_switch(environ, "RELOAD"),
        )


def _url(environ: Mapping[str, str], name: str, default: str) -> str:
    value = environ.get(name, "").strip() or default
    wanted = f"{name}={value!r} is not usable: give the backend's origin, for example http://backend:8000"
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError as error:
        raise SettingsError(f"{wanted} ({error})") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise SettingsError(wanted)
    if parts.username or parts.password:
        # The value is left out on purpose: it holds a secret and this text ends in a log.
        raise SettingsError(f"{name} must not contain a user name or a password")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise SettingsError(f"{wanted} (without a path)")
    return f"{parts.scheme}://{parts.netloc}"


def _seconds(environ: Mapping[str, str], name: str, default: float) -> float:
    value = environ.get(name, "").strip()
    try:
        seconds = float(value) if value else default
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= 600:
        raise SettingsError(f"{name}={value!r} is not usable: give seconds above 0, at most 600")
    return seconds


def _whole(environ: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    value = environ.get(name, "").strip()
    number = int(value) if value.isascii() and value.isdigit() and len(value) < 10 else (low - 1 if value else default)
    if not low <= number <= high:
        raise SettingsError(f"{name}={value!r} is not usable: give a whole number from {low} to {high}")
    return number


def _choice(environ: Mapping[str, str], name: str, default: str, choices: tuple[str, ...]) -> str:
    value = environ.get(name, "").strip().lower() or default
    if value not in choices:
        raise SettingsError(f"{name}={value!r} is not usable: give one of {', '.join(choices)}")
    return value


def _switch(environ: Mapping[str, str], name: str) -> bool:
    value = environ.get(name, "").strip().lower()
    if value not in _TRUE | _FALSE:
        raise SettingsError(f"{name}={value!r} is not usable: give 1 or 0")
    return value in _TRUE
