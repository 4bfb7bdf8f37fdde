"""The Python image that the services are built on.

Usage: scripts/base-image [--rebuild]

Prints its name on stdout. One that is made here holds what a Python service needs: essential packages, python3, venv
with its pip, the certificates that this machine trusts and its package index. It has no apt, no documentation and no
locales: 93 MB instead of 153 MB, measured on Debian 12, amd64.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from devenv.core.errors import ToolMissing, UsageError
from scripts.machine.bootstrap import Recipe
from scripts.machine.images import Image, choose_image
from scripts.machine.process import ask, run_script, say
from scripts.machine.venv import pip_command

# Where Debian, and pip through PIP_CERT, look for certificates.
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
CHECK = (
    "import sqlite3, ssl, sys, venv; "
    "sys.exit(sys.version_info < (3, 11) and f'it has Python {sys.version.split()[0]}; 3.11 or newer is needed')"
)
_INDEX_KEYS = ("index-url", "extra-index-url", "trusted-host")


def recipe() -> Recipe:
    """Return the recipe with this machine's certificates and pip settings.

    Raises ToolMissing where the machine has no certificates.
    """
    bundle = Path(os.environ.get("SSL_CERT_FILE") or BUNDLE)
    if not bundle.is_file():
        raise ToolMissing(f"this machine has no certificate bundle {bundle}", "apt-get install ca-certificates")
    settings = pip_settings(ask([*pip_command(), "config", "list"]).stdout)
    return Recipe(
        packages=("python3", "python3-venv"),
        changes=(
            'CMD ["python3"]',
            f"ENV SSL_CERT_FILE={BUNDLE} PIP_CERT={BUNDLE} REQUESTS_CA_BUNDLE={BUNDLE} LANG=C.UTF-8",
        ),
        check=("python", "-c", CHECK),
        hooks=('ln -sf python3 "$1/usr/bin/python"',),
        files={BUNDLE: bundle.read_bytes(), **({"/etc/pip.conf": settings.encode()} if settings else {})},
    )


BASE_IMAGE = Image(
    name="base image",
    variable="PYTHON_IMAGE",
    default="python:3.12-slim",
    repository="localhost/devenv-python",
    comment="Written by scripts/base-image: no Python image could be pulled here. Remove both lines to try again.",
    what="an image with Python 3.11 or newer",
    recipe=recipe,
)


def pip_settings(listing: str) -> str:
    """Return a pip.conf with the package index that the machine uses, from `pip config list`; empty for pip's default.

    Indexes on this machine's disk (file:) mean nothing inside an image, and an address with a password must not end
    up in one: both are left out, the second with a word to the user.
    """
    found: dict[str, str] = {}
    for key, value in re.findall(r"^(?:global|:env:)\.([\w-]+)=['\"](.*)['\"]$", listing, re.MULTILINE):
        words = [word for word in re.split(r"(?:\s|\\n)+", value) if word and _may_travel(word)]
        if key in _INDEX_KEYS and words:
            found[key] = " ".join(words)  # :env: comes last and wins, as it does for pip
    if not {"index-url", "extra-index-url"} & found.keys():
        return ""
    return "\n".join(["[global]", *(f"{key} = {value}" for key, value in sorted(found.items()))]) + "\n"


def _may_travel(word: str) -> bool:
    parts = urlsplit(word)
    if parts.password or (parts.username and parts.scheme):
        say(f"base image: pip's index at {parts.hostname} needs a password, which is not put into an image")
        return False
    return parts.scheme != "file" and not word.startswith("/")


def main(arguments: Sequence[str]) -> None:
    """Run scripts/base-image."""
    if set(arguments) - {"--rebuild"}:
        raise UsageError(f"unknown argument: {' '.join(arguments)}", "usage: scripts/base-image [--rebuild]")
    sys.stdout.write(choose_image(BASE_IMAGE, rebuild="--rebuild" in arguments) + "\n")


if __name__ == "__main__":
    run_script(main)
