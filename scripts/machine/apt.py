"""apt on a Debian-like machine: asked in a fixed language, never asking back, waiting for others' locks."""

from __future__ import annotations

import re

from scripts.machine.process import ask, must, say

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
