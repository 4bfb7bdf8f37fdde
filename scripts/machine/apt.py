"""apt on a Debian-like machine: asked in a fixed language, never asking back, waiting for others' locks."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from devenv.core.errors import DevenvError
from scripts.machine.apt_policy import Release, parse_candidate, parse_policy
from scripts.machine.apt_sources import Source, read_sources
from scripts.machine.process import ask, find_program, must
from scripts.machine.report import say

APT_FOLDER = Path("/etc/apt")
# NEEDRESTART_SUSPEND: on Ubuntu needrestart asks which services to restart after a library was upgraded.
_QUIET = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_SUSPEND": "1", "LC_ALL": "C.UTF-8"}
_ACQUIRE = re.compile(r"Acquire::(https?::.*|Check-Valid-Until|Check-Date) ", re.IGNORECASE)
_OPTIONS = (
    "-o", "DPkg::Lock::Timeout=300",
    "-o", "Acquire::Retries=3",
    "-o", "Dpkg::Options::=--force-confdef",
    "-o", "Dpkg::Options::=--force-confold",
)  # fmt: skip


@cache
def os_release() -> dict[str, str]:
    """Return the fields of os-release(5); empty where the system has none."""
    for path in (Path("/etc/os-release"), Path("/usr/lib/os-release")):
        if path.is_file():
            lines = (line.partition("=") for line in path.read_text(encoding="utf-8").splitlines())
            return {name: value.strip("\"'") for name, _, value in lines if name}
    return {}


def is_debian() -> bool:
    """Whether this is Debian itself, whose suites may be combined, not a distribution made from it."""
    return os_release().get("ID") == "debian" and find_program("apt-get") is not None


def is_debian_like() -> bool:
    """Whether this is Debian, Ubuntu or another distribution with Debian's package names."""
    family = [os_release().get("ID", ""), *os_release().get("ID_LIKE", "").split()]
    return "debian" in family and find_program("apt-get") is not None


def can_install() -> bool:
    """Whether a setup script may install packages here: Debian-like, and root."""
    return is_debian_like() and os.geteuid() == 0


def sources() -> list[Source]:
    """Return the machine's configured sources."""
    return read_sources(APT_FOLDER)


def releases() -> list[Release]:
    """Return the releases that apt knows; reads the package lists first where none has been read yet."""
    known = _releases()
    if not any(release.is_debian for release in known) and can_install():
        update()
        known = _releases()
    return known


def _releases() -> list[Release]:
    return parse_policy(ask(["apt-cache", "policy"], env=_QUIET).stdout)


def candidate(package: str) -> str:
    """Return the version of a package that apt would install, empty for none."""
    return parse_candidate(ask(["apt-cache", "policy", package], env=_QUIET).stdout)


def update() -> str:
    """Read the package lists again; returns apt's errors and warnings, empty when all could be read."""
    say("apt: reading the package lists")
    done = ask(["apt-get", *_OPTIONS, "update"], env=_QUIET)
    return "\n".join(line for line in done.stderr.splitlines() if line.startswith(("E:", "W:")))


def acquire_settings() -> list[str]:
    """Return how this machine's apt gets files, such as through a proxy, as lines of apt.conf(5)."""
    lines = ask(["apt-config", "dump", "--no-empty"], env=_QUIET).stdout.splitlines()
    return [line for line in lines if _ACQUIRE.match(line)]


def install(packages: Sequence[str], *, target: str = "") -> None:
    """Install packages without their recommendations, from the `target` suite where one is given.

    A first attempt may fail on lists older than the mirror or on an install that was cut short: both are mended
    before the second. Raises DevenvError with apt's last lines.
    """
    say(f"apt: installing {' '.join(packages)}{f' from {target}' if target else ''}")
    chosen = ["-t", target] if target else []
    command = ["apt-get", *_OPTIONS, "install", "-y", "--no-install-recommends", *chosen]
    if ask([*command, *packages], env=_QUIET).returncode == 0:
        return
    ask(["dpkg", "--configure", "-a", "--force-confdef", "--force-confold"], env=_QUIET)
    update()
    ask([*command, "--fix-broken"], env=_QUIET)
    hint = "look at the lines above; the next run tries again"
    must([*command, *packages], f"apt-get install {' '.join(packages)}", hint=hint, env=_QUIET)


def is_cut_short(package: str) -> bool:
    """Whether a package was begun to be installed and not finished."""
    status = ask(["dpkg-query", "--show", "--showformat=${Status}", package], env=_QUIET).stdout.split()
    return bool(status) and status[0] == "install" and status[-1] != "installed"


def require_candidate(package: str) -> str:
    """Return a package's candidate version, after reading the lists again where there is none.

    Raises DevenvError where the machine's sources do not have the package.
    """
    version = candidate(package)
    if not version:
        update()
        version = candidate(package)
    if not version:
        raise DevenvError(f"the machine's apt sources have no package {package}", "check /etc/apt and `apt-get update`")
    return version
