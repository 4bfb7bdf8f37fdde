"""Docker Engine from the machine's own package sources, from Debian testing where its own release is too old."""

from __future__ import annotations

from pathlib import Path

from devenv.core.errors import ToolMissing
from scripts.machine import apt
from scripts.machine.advice import how_to_get_engine, this_platform
from scripts.machine.apt_policy import knows_testing, major_version, source_of_testing
from scripts.machine.process import find_program, last_lines
from scripts.machine.report import say

SOURCE_FILE = apt.APT_FOLDER / "sources.list.d" / "devenv-testing.sources"
PIN_FILE = apt.APT_FOLDER / "preferences.d" / "devenv-testing"
# apt_preferences(5): below 100, a package of testing is taken only when it is asked for.
PIN_TEXT = "Package: *\nPin: release a=testing\nPin-Priority: 90\n"
_HEADER = "# Written by devenv's setup: the machine's own mirror, for a newer Docker Engine. Pinned at 90 beside it.\n"
_BUILDX = "docker-buildx"


def install_engine(oldest: int) -> None:
    """Install Docker Engine, its CLI, buildx and iptables, at least of the major version `oldest`.

    Raises ToolMissing where the machine's sources have none that is new enough.
    """
    version = apt.require_candidate("docker.io")
    if major_version(version) >= oldest and apt.candidate(_BUILDX):
        apt.install(_packages())
        return
    if not apt.is_debian():
        raise ToolMissing(
            f"this distribution has docker.io {version}; {oldest} or newer with buildx is needed",
            how_to_get_engine(this_platform()),
        )
    say(f"engine: this Debian has docker.io {version}; taking it from testing, with the libraries it needs")
    add_testing()
    apt.install(_packages(), target="testing")


def _packages() -> list[str]:
    packages = ["docker.io", _BUILDX, "iptables"]
    # Since Debian 13 the client is a package of its own; in older ones and in Ubuntu docker.io carries it.
    if find_program("docker") is None and apt.candidate("docker-cli"):
        packages.append("docker-cli")
    return packages


def install_buildx() -> None:
    """Install the buildx plugin alone, for an engine that is there already."""
    if apt.candidate(_BUILDX):
        apt.install([_BUILDX])
    elif apt.is_debian():
        add_testing()
        apt.install([_BUILDX], target="testing")
    else:
        raise ToolMissing("docker has no buildx plugin, which builds the images", how_to_get_engine(this_platform()))


def add_testing() -> None:
    """Add Debian testing with a low pin, from the machine's own mirror and keys; nothing where it is known already.

    Raises ToolMissing where no source can be derived or the mirror has no testing; then nothing is left behind.
    """
    releases = apt.releases()
    if knows_testing(releases):
        return
    source = source_of_testing(apt.sources(), releases)
    if source is None:
        raise ToolMissing(
            "no Debian source of this machine could be used for testing", how_to_get_engine(this_platform())
        )
    # The pin first: an interruption must never leave testing unpinned.
    write_testing(source.stanza(), SOURCE_FILE, PIN_FILE)
    problems = apt.update()
    if not knows_testing(apt.releases()):
        SOURCE_FILE.unlink()
        PIN_FILE.unlink()
        raise ToolMissing(
            f"Debian testing could not be read from this machine's mirror\n{last_lines(problems, 5)}",
            how_to_get_engine(this_platform()),
        )


def write_testing(stanza: str, source_file: Path, pin_file: Path) -> None:
    """Write the pin, then the source."""
    for file, text in ((pin_file, PIN_TEXT), (source_file, _HEADER + stanza)):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        file.chmod(0o644)
