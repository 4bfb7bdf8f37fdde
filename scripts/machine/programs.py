"""Make sure that programs are there which only tests need: Chromium for the search page, PostgreSQL for the store.

Usage: scripts/browser, scripts/postgres-server

On Debian as root they are installed; elsewhere ToolMissing says what to install.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from devenv.core.errors import ToolMissing
from scripts.machine import apt, system
from scripts.machine.process import find_program, run_script

# Names under which chromedriver finds a browser.
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_CHROMIUM = {
    "macos": "macOS: `brew install --cask chromium chromedriver`",
    "debian": "Debian: `sudo apt-get install chromium chromium-driver`",
    "ubuntu": "Ubuntu: `sudo snap install chromium`, which has chromedriver with it",
    "fedora": "Fedora: `sudo dnf install chromium chromedriver`",
    "arch": "Arch: `sudo pacman -S chromium`",
}
# Debian keeps the programs of each version out of PATH.
PACKAGED = Path("/usr/lib/postgresql")
# Only the programs are wanted: without this file, the package makes a database while it is installed, and starts it.
NO_CLUSTER = Path("/etc/postgresql-common/createcluster.d/devenv.conf")
_POSTGRES = {
    "macos": "macOS: `brew install postgresql@17` and put its bin folder on PATH",
    "debian": "Debian: `sudo apt-get install postgresql`",
    "ubuntu": "Ubuntu: `sudo apt-get install postgresql`",
    "fedora": "Fedora: `sudo dnf install postgresql-server`",
    "arch": "Arch: `sudo pacman -S postgresql`",
}


def ensure_browser() -> None:
    """Install Chromium and its driver where one of them is missing."""
    browser = any(find_program(name) for name in _BROWSERS)
    if browser and find_program("chromedriver"):
        return
    # Ubuntu's package of that name only installs a snap, which needs a running snapd.
    if not (system.is_debian() and system.can_install()):
        missing = "chromedriver" if browser else "Chromium"
        raise ToolMissing(f"{missing} was not found, which the page tests need", system.advice(_CHROMIUM))
    apt.install("chromium", "chromium-driver")


def ensure_postgres() -> None:
    """Install PostgreSQL's programs where they are missing, without a database."""
    if find_program("postgres") or any(PACKAGED.glob("*/bin/postgres")):
        return
    if not system.can_install():
        raise ToolMissing("PostgreSQL was not found, which the tests of its store need", system.advice(_POSTGRES))
    NO_CLUSTER.parent.mkdir(parents=True, exist_ok=True)
    NO_CLUSTER.write_text("create_main_cluster = false\n", encoding="ascii")
    try:
        apt.install("postgresql")
    finally:
        NO_CLUSTER.unlink()


def main(arguments: Sequence[str]) -> None:
    """Run one of the two scripts."""
    {"browser": ensure_browser, "postgres": ensure_postgres}[arguments[0]]()


if __name__ == "__main__":
    run_script(main)
