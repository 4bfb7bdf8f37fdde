"""What the steering side gives to the users of all processes; it travels with Locust's own options."""

from __future__ import annotations

from typing import Any

_NAME = "devenv_given"


def give(options: Any, **values: Any) -> None:
    """Give plain values; Locust sends them with the next spawn message, before any user starts."""
    setattr(options, _NAME, values)


def given(options: Any) -> dict[str, Any]:
    """Return what was given."""
    found: dict[str, Any] = getattr(options, _NAME)
    return found
