"""Debian's own archives among the machine's package sources, and the sources that are derived from them.

`apt-get indextargets` names each source with what its signed Release file says, so that a vendor's source which calls
itself by Debian's code name is told from Debian's own. Nothing here names a host: mirrors and keys are the machine's.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from scripts.machine import apt
from scripts.machine.system import can_install

# apt_preferences(5): 500 is a source that was not pinned, 100 and below is never taken by itself.
NORMAL_PRIORITY = 500
# The options of a source that say why it is trusted (sources.list(5)); they have these names in both formats.
_TRUST = ("Signed-By", "Trusted", "Check-Valid-Until", "Check-Date")


@dataclass(frozen=True, slots=True)
class Archive:
    """A component of a suite of Debian's; `dist` is the source's name for the suite, `trust` its deb822 fields."""

    uri: str
    dist: str
    component: str
    codename: str
    suite: str
    version: str
    priority: int
    trust: str = ""

    def stanza(self, dist: str = "") -> str:
        """Return a source for it as a deb822 stanza, or one for another suite that has the same keys."""
        return f"Types: deb\nURIs: {self.uri}\nSuites: {dist or self.dist}\nComponents: {self.component}\n{self.trust}"


def archives() -> list[Archive]:
    """Return Debian's archives that apt knows; reads the package lists first where none has been read yet."""
    known = _known()
    if not known and can_install():
        apt.update()
        known = _known()
    return known


def machine_release(known: Iterable[Archive]) -> str:
    """Return the code name of the Debian release that the machine runs; empty where it has none.

    os-release is no witness: packages of a pinned testing bring testing's base-files with them.
    """
    plain = [each for each in known if each.priority >= NORMAL_PRIORITY and "-" not in each.codename]
    # Testing and unstable have no version: newer than every release that has one.
    newest = max(plain, key=lambda each: apt.major_version(each.version) or math.inf, default=None)
    return newest.codename if newest else ""


def release_archives(codename: str, known: Iterable[Archive]) -> list[Archive]:
    """Return the archives of one release, its updates and security included, without those of low priority."""
    return [
        each
        for each in known
        if each.priority >= NORMAL_PRIORITY and each.codename.partition("-")[0] == codename
    ]  # fmt: skip


def source_for_testing(known: Iterable[Archive]) -> str:
    """Return a source for Debian testing beside the machine's own release; empty where no archive can be its base.

    Derived from the release itself: security and update suites have no `testing` of the same archive.
    """
    known = list(known)
    base = machine_release(known)
    return next((each.stanza("testing") for each in known if (each.codename, each.component) == (base, "main")), "")


def knows_testing(known: Iterable[Archive]) -> bool:
    """Whether Debian testing is configured already, under whatever name and priority."""
    return any("testing" in (each.suite, each.dist) for each in known)


def _known() -> list[Archive]:
    policy = apt.query("apt-cache", "policy")
    priorities = {name: int(number) for number, name in re.findall(r"^ *(-?\d+) (\S.*)$", policy, re.MULTILINE)}
    found = []
    for block in apt.query("apt-get", "indextargets", "Created-By: Packages").split("\n\n"):
        fields = dict(line.partition(": ")[::2] for line in block.splitlines())
        if fields.get("Origin") == "Debian" and fields["Description"] in priorities:
            found.append(
                Archive(
                    fields["Repo-URI"], fields["Release"], fields["Component"], fields.get("Codename", ""),
                    fields.get("Suite", ""), fields.get("Version", ""), priorities[fields["Description"]],
                    _trust(*fields["Sourcesentry"].rsplit(":", 1)),
                )
            )  # fmt: skip
    return list(dict.fromkeys(found))  # an archive is named once for every architecture


def _trust(file: str, number: str) -> str:
    """Return the trust of an entry: the nth line of a .list file, or the nth stanza of a .sources file."""
    lines = Path(file).read_text(encoding="utf-8", errors="replace").splitlines()
    if file.endswith(".sources"):
        text = "\n".join(line for line in lines if not line.startswith("#"))
        stanza = re.split(r"\n(?:[ \t]*\n)+", text.strip())[int(number) - 1]
        # A folded field, such as a key block, keeps its lines.
        options = dict(re.findall(r"^([\w-]+):[ \t]*(.*(?:\n[ \t].*)*)", stanza, re.MULTILINE))
    else:
        brackets = re.match(r"\s*deb\s+\[([^]]*)]", lines[int(number) - 1])
        words = brackets[1].split() if brackets else []
        options = dict(word.replace(",", " ").partition("=")[::2] for word in words)
    by_name = {name.lower(): value for name, value in options.items()}
    return "".join(f"{name}: {by_name[name.lower()]}\n" for name in _TRUST if name.lower() in by_name)
