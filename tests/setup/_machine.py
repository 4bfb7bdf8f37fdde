"""A machine that is no real one: its programs are replaced at the process boundary, so that nothing here changes any.

What apt says about the sources is as it prints it, with a mirror of the tests.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

SOURCES = """\
# The mirror of the tests

Types: deb deb-src
Enabled: no
URIs: http://mirror.test/disabled
Suites: bookworm

# Debian
Types: deb deb-src
URIs: http://mirror.test/debian
Suites: bookworm bookworm-updates
# not contrib
Components: main non-free
Signed-By: /usr/share/keyrings/debian.gpg

Types: deb
URIs: http://mirror.test/debian-security
Suites: bookworm-security
Components: main
signed-by: /usr/share/keyrings/security.gpg
"""


@dataclass(frozen=True)
class Listed:
    """A package list that apt has read; `entry` is the number of its stanza or line in the file of sources."""

    dist: str
    codename: str
    suite: str
    version: str = ""
    priority: int = 500
    origin: str = "Debian"
    component: str = "main"
    uri: str = "http://mirror.test/debian"
    entry: int = 2
    architecture: str = "amd64"

    @property
    def description(self) -> str:
        scheme, _, rest = self.uri.partition("//")
        return f"{scheme}//{rest.rpartition('@')[2]} {self.dist}/{self.component} {self.architecture} Packages"

    def policy(self) -> str:
        """What `apt-cache policy` prints about it."""
        version = f"v={self.version}," if self.version else ""
        facts = f"{version}o={self.origin},a={self.suite},n={self.codename},l={self.origin},c={self.component},b=amd64"
        return f" {self.priority:>3} {self.description}\n     release {facts}\n     origin mirror.test\n"

    def target(self, sources: Path) -> str:
        """What `apt-get indextargets` prints about it."""
        version = f"Version: {self.version}\n" if self.version else ""
        return (
            f"MetaKey: {self.component}/binary-{self.architecture}/Packages\nDescription: {self.description}\n"
            f"Codename: {self.codename}\nOrigin: {self.origin}\nSuite: {self.suite}\n{version}"
            f"Component: {self.component}\nCreated-By: Packages\nFallback-Of: \nRelease: {self.dist}\n"
            f"Repo-URI: {self.uri}/\nSourcesentry: {sources}:{self.entry}\nTarget-Of: deb\n"
        )


MAIN = Listed("bookworm", "bookworm", "oldstable", "12.15")
UPDATES = Listed("bookworm-updates", "bookworm-updates", "oldstable-updates", "12-updates")
SECURITY = Listed(
    "bookworm-security", "bookworm-security", "oldstable-security", "12",
    uri="http://mirror.test/debian-security", entry=3,
)  # fmt: skip
# Security first: what is derived for testing must not depend on the order.
BOOKWORM = (SECURITY, UPDATES, replace(MAIN, component="non-free"), MAIN)
TESTING = Listed("testing", "forky", "testing", priority=90)
BACKPORTS = Listed("bookworm-backports", "bookworm-backports", "oldstable-backports", "12", 100, "Debian Backports")
VENDOR = Listed("bookworm", "bookworm", "bookworm", "99", origin="Vendor", uri="https://packages.vendor.test/debian")


class Programs:
    """A folder of small shell scripts that stand in for the machine's programs and write down how they were called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._log = folder / ".calls"

    def add(self, name: str, body: str = "") -> Path:
        """Put a program on PATH; `body` is sh and may use its builtins only."""
        file = self.folder / name
        file.write_text(f'#!/bin/sh\necho "{name} $*" >>"{self._log}"\n{body}\n', encoding="utf-8")
        file.chmod(0o755)
        return file

    def apt_get(self, targets: Path, body: str = "") -> None:
        """Put an apt-get on PATH that knows the index targets in a file; `body` is what else it does."""
        self.add("apt-get", f'case "$1" in indextargets) exec /bin/cat "{targets}" ;; esac\n{body}')

    def calls(self, start: str = "") -> list[str]:
        """Return the command lines that began with `start`, in order."""
        lines = self._log.read_text(encoding="utf-8").splitlines() if self._log.exists() else []
        return [line for line in lines if line.startswith(start)]


class Apt:
    """apt of a machine: what it has read is in files that tests may write again."""

    def __init__(self, folder: Path) -> None:
        self.sources = folder / "debian.sources"
        self.policy, self.targets = folder / "policy", folder / "targets"

    def knows(self, *listed: Listed, sources: str = SOURCES, name: str = "debian.sources") -> None:
        """Let apt have read these lists, from a file of sources with this text."""
        self.sources = self.sources.with_name(name)
        self.sources.write_text(sources, encoding="utf-8")
        self.policy.write_text(
            f"Package files:\n 100 /var/lib/dpkg/status\n     release a=now\n{''.join(map(Listed.policy, listed))}"
            "Pinned packages:\n",
            encoding="utf-8",
        )
        self.targets.write_text("\n".join(each.target(self.sources) for each in listed), encoding="utf-8")
