"""Which system this is, whether a setup script may install packages on it, and what to advise where it may not."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping

from scripts.machine.process import find_program

_WITH_ADVICE = ("debian", "ubuntu", "fedora", "arch")


def os_release() -> dict[str, str]:
    """Return the fields of os-release(5); empty where the system has none."""
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def _family() -> list[str]:
    fields = os_release()
    return [fields.get("ID", ""), *fields.get("ID_LIKE", "").split()]


def is_debian() -> bool:
    """Whether this is Debian itself, whose suites may be combined, not a distribution made from it."""
    return os_release().get("ID") == "debian" and find_program("apt-get") is not None


def is_debian_like() -> bool:
    """Whether this is Debian, Ubuntu or another distribution with Debian's package names."""
    return "debian" in _family() and find_program("apt-get") is not None


def can_install() -> bool:
    """Whether a setup script may install packages here: Debian-like, and root."""
    return is_debian_like() and os.geteuid() == 0


def this_platform() -> str:
    """Return the key of the platform this runs on in tables of advice, `other` for one that has none."""
    if platform.system() == "Darwin":
        return "macos"
    if "microsoft" in platform.release().lower():
        return "wsl"
    return next((name for name in _family() if name in _WITH_ADVICE), "other")


def advice(lines: Mapping[str, str]) -> str:
    """Return a table's lines for this platform and for any (`other`); all of them where it has neither."""
    found = [lines[key] for key in (this_platform(), "other") if key in lines]
    return "\n".join(dict.fromkeys(found or lines.values()))
