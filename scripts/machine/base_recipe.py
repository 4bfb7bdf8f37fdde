"""The recipe of the Python base image made from Debian packages, and the tag that is a hash of it.

The image holds what a Python service needs: essential packages, python3, venv with its pip. It has no apt, no
documentation and no locales: 93 MB instead of 153 MB, measured on Debian 12, amd64.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from scripts.machine.apt_sources import Source
from scripts.machine.report import say

REPOSITORY = "localhost/devenv-python"
# Where Debian, and pip through PIP_CERT, look for certificates inside the image.
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
PACKAGES = ("python3", "python3-venv")
# Instead of usrmerge, which would bring all of perl with it (47 MB).
MERGED_PACKAGE = "usr-is-merged"
# Deleted at the end: leaving it out with dpkg's path-exclude makes mmdebstrap filter every package in perl, 6 s more.
LEFT_OUT = (
    "usr/share/doc/*", "usr/share/man/*", "usr/share/locale/*", "usr/share/info/*", "usr/share/lintian/*",
    "usr/share/bash-completion", "usr/share/bug", "usr/lib/*/gconv", "var/cache/debconf/*-old", "var/log/*",
    "etc/resolv.conf", "etc/hostname", "etc/machine-id",
)  # fmt: skip
CHANGES = (
    'CMD ["python3"]',
    f"ENV SSL_CERT_FILE={BUNDLE}",
    f"ENV PIP_CERT={BUNDLE}",
    f"ENV REQUESTS_CA_BUNDLE={BUNDLE}",
    "ENV LANG=C.UTF-8",
)
_INDEX_KEYS = ("index-url", "extra-index-url", "trusted-host")


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides what the image is; where the packages come from is not part of it."""

    codename: str
    bundle: Path
    pip_settings: str

    @property
    def tag(self) -> str:
        """The image's name: the Debian release and a hash of the recipe, the certificates and pip's settings."""
        parts = [self.codename, PACKAGES, LEFT_OUT, CHANGES, self.bundle.read_text(errors="replace"), self.pip_settings]
        digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]
        return f"{REPOSITORY}:{self.codename}-{digest}"


def is_ours(image: str) -> bool:
    """Whether an image's name is one that a recipe gave."""
    return image.startswith(f"{REPOSITORY}:")


def codename_in(tag: str) -> str:
    """Return the Debian release in a tag of ours."""
    return tag.removeprefix(f"{REPOSITORY}:").rpartition("-")[0]


def certificate_bundle() -> Path | None:
    """Return the certificates that this machine trusts, SSL_CERT_FILE first; None where it has none."""
    default = ssl.get_default_verify_paths()
    for name in (os.environ.get("SSL_CERT_FILE"), BUNDLE, default.cafile):
        if name and Path(name).is_file():
            return Path(name)
    return None


def pip_settings(listing: str) -> str:
    """Return a pip.conf with the package index that the machine uses, from `pip config list`; empty for pip's default.

    Indexes on this machine's disk (file:) mean nothing inside an image, and an address with a password must not end
    up in one: both are left out, the second with a word to the user.
    """
    found: dict[str, str] = {}
    for line in listing.splitlines():
        match = re.match(
            r"""^(?:global|:env:)\.(?P<key>[\w-]+)=(?P<quote>['"])(?P<value>.*)(?P=quote)$""", line.strip()
        )
        if match and match["key"] in _INDEX_KEYS:
            words = [word for word in re.split(r"(?:\s|\\n)+", match["value"]) if word and _may_travel(word)]
            if words:
                found[match["key"]] = " ".join(words)  # :env: comes last and wins, as it does for pip
    if not {"index-url", "extra-index-url"} & found.keys():
        return ""
    return "\n".join(["[global]", *(f"{key} = {value}" for key, value in sorted(found.items()))]) + "\n"


def _may_travel(word: str) -> bool:
    parts = urlsplit(word)
    if parts.password or (parts.username and parts.scheme):
        say(f"base image: pip's index at {parts.hostname} needs a password, which is not put into an image")
        return False
    return parts.scheme != "file" and not word.startswith("/")


def sources_list(sources: list[Source], key_folder: Path) -> str:
    """Return one-line entries for mmdebstrap, key blocks written to files in `key_folder`."""
    lines = []
    for number, source in enumerate(sources):
        options = {name.lower(): value for name, value in source.options.items()}
        words = []
        if signed_by := options.get("signed-by", ""):
            if "\n" in signed_by:
                key = key_folder / f"{number}.asc"
                key.write_text(_key_block(signed_by), encoding="ascii")
                signed_by = str(key)
            words.append(f"signed-by={signed_by.replace(' ', ',')}")
        if "trusted" in options:
            words.append(f"trusted={options['trusted']}")
        bracket = f"[{' '.join(words)}] " if words else ""
        lines.append(f"deb {bracket}{source.uris[0]} {source.suites[0]} {' '.join(source.components)}")
    return "\n".join(lines) + "\n"


def _key_block(folded: str) -> str:
    # deb822(5): a line of a folded field starts with a blank, an empty one is a single dot.
    lines = [line.strip() for line in folded.strip().splitlines()]
    return "".join(f"{'' if line == '.' else line}\n" for line in lines)
