"""What `apt-cache policy` says: which releases the machine takes packages from, and what it would install.

Origin, label and suite come from the archive's signed Release file, so a third party's source that calls itself by
Debian's code name is told from Debian's own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from scripts.machine.apt_sources import Source

# apt_preferences(5): 500 is a source that was not pinned, 100 and below is never taken by itself.
NORMAL_PRIORITY = 500
_PACKAGES = re.compile(r"^\s*(?P<priority>-?\d+) (?P<uri>\S+) (?P<dist>\S+)/\S+ \S+ Packages$")


@dataclass(frozen=True, slots=True)
class Release:
    """One release file that apt knows, with its priority; `dist` is the name that the source uses for it."""

    priority: int
    uri: str
    dist: str
    origin: str = ""
    label: str = ""
    suite: str = ""
    codename: str = ""
    version: str = ""

    @property
    def is_debian(self) -> bool:
        """Whether Debian itself signs it, its security updates included."""
        return self.origin == "Debian"

    @property
    def base(self) -> str:
        """The code name of the Debian release that it belongs to: bookworm for bookworm-security."""
        return self.codename.partition("-")[0]


def parse_policy(text: str) -> list[Release]:
    """Return the releases in the output of `apt-cache policy` without a package."""
    releases: list[Release] = []
    head: re.Match[str] | None = None
    for line in text.splitlines():
        if found := _PACKAGES.match(line):
            head = found
        elif head and line.strip().startswith("release "):
            facts = dict(part.partition("=")[::2] for part in line.strip().removeprefix("release ").split(","))
            releases.append(
                Release(
                    int(head["priority"]),
                    head["uri"],
                    head["dist"],
                    facts.get("o", ""),
                    facts.get("l", ""),
                    facts.get("a", ""),
                    facts.get("n", ""),
                    facts.get("v", ""),
                )
            )
            head = None
    return list(dict.fromkeys(releases))


def parse_candidate(text: str) -> str:
    """Return the version in the output of `apt-cache policy PACKAGE` that apt would install; empty for none."""
    found = re.search(r"^\s*Candidate: (\S+)$", text, re.MULTILINE)
    return "" if found is None or found[1] == "(none)" else found[1]


def major_version(version: str) -> int:
    """Return the first number of a version such as 2:28.5.2+dfsg4-5 or v5.6.1; 0 where there is none."""
    found = re.match(r"(?:\d+:)?v?(\d+)", version)
    return int(found[1]) if found else 0


def debian_base(releases: Iterable[Release]) -> str:
    """Return the code name of the Debian release that the machine runs; empty where it has none.

    os-release is no witness: packages of a pinned testing bring testing's base-files with them.
    """
    found = [release for release in releases if release.is_debian and release.priority >= NORMAL_PRIORITY]
    plain = [release for release in found if release.codename and release.codename == release.base]
    # Testing and unstable have no version: newer than every release that has one.
    newest = max(plain, key=lambda release: major_version(release.version) or math.inf, default=None)
    return newest.codename if newest else ""


def sources_of(base: str, sources: Iterable[Source], releases: Iterable[Release]) -> list[Source]:
    """Return Debian's own entries for one release, updates and security included, one for each suite.

    Entries at less than normal priority, backports and a pinned testing among them, are left out.
    """
    wanted = {
        (_plain(release.uri), release.dist)
        for release in releases
        if release.is_debian and release.base == base and release.priority >= NORMAL_PRIORITY
    }
    return [
        Source((uri,), (suite,), source.components, dict(source.options))
        for source in sources
        for suite in source.suites
        for uri in source.uris
        if (_plain(uri), suite) in wanted
    ]


def source_of_testing(sources: Iterable[Source], releases: Iterable[Release]) -> Source | None:
    """Return a source for Debian testing beside the machine's own release; None where no entry can be its base.

    Taken from the entry of the release itself: security and update suites have no `testing` of the same archive.
    """
    known = list(releases)
    base = debian_base(known)
    main = {(_plain(each.uri), each.dist) for each in known if each.is_debian and each.codename == base}
    for source in sources_of(base, sources, known):
        if (_plain(source.uris[0]), source.suites[0]) in main:
            return source.for_suite("testing")
    return None


def knows_testing(releases: Iterable[Release]) -> bool:
    """Whether Debian testing is configured already, under whatever name and priority."""
    return any(release.is_debian and "testing" in (release.suite, release.dist) for release in releases)


def _plain(uri: str) -> str:
    # apt prints sources without user names and passwords and without a closing slash.
    return re.sub(r"//[^/@]*@", "//", uri).rstrip("/")
