"""apt on a Debian-like machine: what it knows, which of its archives are Debian's own, and installing packages.

It is asked in a fixed language, never asks back, and waits for others' locks. `apt-get indextargets` names each source
with what its signed Release file says, so that a vendor's source which calls itself by Debian's code name is told from
Debian's own. Nothing here names a host: mirrors and keys are the machine's.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from scripts.machine.process import ask, must, say
from scripts.machine.system import can_install

# NEEDRESTART_SUSPEND: on Ubuntu needrestart asks which services to restart after a library was upgraded.
_QUIET = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_SUSPEND": "1", "LC_ALL": "C.UTF-8"}
_APT_GET = (
    "apt-get",
    "-o", "DPkg::Lock::Timeout=300",
    "-o", "Acquire::Retries=3",
    "-o", "Dpkg::Options::=--force-confdef",
    "-o", "Dpkg::Options::=--force-confold",
)  # fmt: skip
_ACQUIRE = re.compile(r"Acquire::(https?::.*|Check-Valid-Until|Check-Date) ", re.IGNORECASE)
# apt_preferences(5): 500 is a source that was not pinned, 100 and below is never taken by itself.
NORMAL_PRIORITY = 500
# The options of a source that say why it is trusted (sources.list(5)); they have these names in both formats.
_TRUST = ("Signed-By", "Trusted", "Check-Valid-Until", "Check-Date")


def query(*argv: str) -> str:
    """Return what one of apt's programs prints about the machine."""
    return ask(argv, env=_QUIET).stdout


def candidate(package: str) -> str:
    """Return the version of a package that apt would install, empty for none."""
    found = re.search(r"^\s*Candidate: (?!\(none\))(\S+)$", query("apt-cache", "policy", package), re.MULTILINE)
    return found[1] if found else ""


def update() -> str:
    """Read the package lists again; returns apt's errors and warnings, empty when all could be read."""
    say("apt: reading the package lists")
    done = ask([*_APT_GET, "update"], env=_QUIET)
    return "\n".join(line for line in done.stderr.splitlines() if line.startswith(("E:", "W:")))


def acquire_settings() -> list[str]:
    """Return how this machine's apt gets files, such as through a proxy, as lines of apt.conf(5)."""
    return [line for line in query("apt-config", "dump", "--no-empty").splitlines() if _ACQUIRE.match(line)]


def install(*packages: str, target: str = "") -> None:
    """Install packages without their recommendations, from the `target` suite where one is given.

    A first attempt may fail on lists that are older than the mirror or were never read, or on an install that was cut
    short: both are mended before the second. Raises DevenvError with apt's last lines.
    """
    say(f"apt: installing {' '.join(packages)}{f' from {target}' if target else ''}")
    command = [*_APT_GET, "install", "-y", "--no-install-recommends", *(["-t", target] if target else [])]
    if ask([*command, *packages], env=_QUIET).returncode == 0:
        return
    ask(["dpkg", "--configure", "-a", "--force-confdef", "--force-confold"], env=_QUIET)
    update()
    ask([*command, "--fix-broken"], env=_QUIET)
    hint = "look at the lines above, check /etc/apt and `apt-get update`; the next run tries again"
    must([*command, *packages], f"apt-get install {' '.join(packages)}", hint=hint, env=_QUIET)


def is_cut_short(package: str) -> bool:
    """Whether a package was begun to be installed and not finished."""
    status = query("dpkg-query", "--show", "--showformat=${Status}", package).split()
    return bool(status) and status[0] == "install" and status[-1] != "installed"


def major_version(version: str) -> int:
    """Return the first number of a version such as 2:28.5.2+dfsg4-5 or v5.6.1; 0 where there is none."""
    found = re.match(r"(?:\d+:)?v?(\d+)", version)
    return int(found[1]) if found else 0


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
        update()
        known = _known()
    return known


def machine_release(known: Iterable[Archive]) -> str:
    """Return the code name of the Debian release that the machine runs; empty where it has none.

    os-release is no witness: packages of a pinned testing bring testing's base-files with them.
    """
    plain = [each for each in known if each.priority >= NORMAL_PRIORITY and "-" not in each.codename]
    # Testing and unstable have no version: newer than every release that has one.
    newest = max(plain, key=lambda each: major_version(each.version) or math.inf, default=None)
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
    policy = query("apt-cache", "policy")
    priorities = {name: int(number) for number, name in re.findall(r"^ *(-?\d+) (\S.*)$", policy, re.MULTILINE)}
    found = []
    for block in query("apt-get", "indextargets", "Created-By: Packages").split("\n\n"):
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
