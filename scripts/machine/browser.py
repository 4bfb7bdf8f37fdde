"""Make sure that a Chromium is there for the tests that open the search page.

Usage: scripts/browser
"""

from __future__ import annotations

from collections.abc import Sequence

from devenv.core.errors import ToolMissing
from scripts.machine import apt
from scripts.machine.advice import how_to_get_chromium, this_platform
from scripts.machine.process import find_program
from scripts.machine.report import run_script

DRIVER = "chromedriver"
# Names under which chromedriver finds a browser.
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def ensure_browser() -> None:
    """Install Chromium and its driver on Debian as root.

    Raises ToolMissing elsewhere, with what to install.
    """
    browser = any(find_program(name) for name in BROWSERS)
    if browser and find_program(DRIVER):
        return
    # Ubuntu's package of that name only installs a snap, which needs a running snapd.
    if not (apt.is_debian() and apt.can_install()):
        missing = DRIVER if browser else "Chromium"
        raise ToolMissing(f"{missing} was not found, which the page tests need", how_to_get_chromium(this_platform()))
    apt.require_candidate("chromium-driver")
    apt.install(["chromium", "chromium-driver"])


def main(arguments: Sequence[str]) -> None:
    """Run scripts/browser."""
    del arguments
    ensure_browser()


if __name__ == "__main__":
    run_script(main)
