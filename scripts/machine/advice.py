"""What to install where a setup script may not install it itself, one line for each platform."""

from __future__ import annotations

import platform

from scripts.machine import apt

_ENGINE = {
    "macos": "macOS: install Docker Desktop, or `brew install colima docker docker-compose` and `colima start`",
    "wsl": "Windows with WSL: Docker Desktop with its WSL integration on, or `sudo make run` in a Debian of WSL's",
    "debian": "Debian: `sudo make run` once installs and starts it; then `sudo usermod -aG docker $USER`, log in again",
    "ubuntu": "Ubuntu: `sudo apt-get install docker.io docker-buildx docker-compose-v2`; "
    "then `sudo usermod -aG docker $USER`, log in again",
    "fedora": "Fedora: `sudo dnf install moby-engine docker-cli docker-buildx docker-compose`; "
    "then `sudo systemctl enable --now docker`",
    "arch": "Arch: `sudo pacman -S docker docker-buildx docker-compose`; then `sudo systemctl enable --now docker`",
    "other": "anywhere: Docker Engine 25 or newer with the buildx and Compose plugins (Docker's manual, Install)",
}
_CHROMIUM = {
    "macos": "macOS: `brew install --cask chromium chromedriver`",
    "debian": "Debian: `sudo apt-get install chromium chromium-driver`",
    "ubuntu": "Ubuntu: `sudo snap install chromium`, which has chromedriver with it",
    "fedora": "Fedora: `sudo dnf install chromium chromedriver`",
    "arch": "Arch: `sudo pacman -S chromium`",
}

_POSTGRES = {
    "macos": "macOS: `brew install postgresql@17` and put its bin folder on PATH",
    "debian": "Debian: `sudo apt-get install postgresql`",
    "ubuntu": "Ubuntu: `sudo apt-get install postgresql`",
    "fedora": "Fedora: `sudo dnf install postgresql-server`",
    "arch": "Arch: `sudo pacman -S postgresql`",
}


def this_platform() -> str:
    """Return the key of the platform this runs on, `other` for one without advice of its own."""
    if platform.system() == "Darwin":
        return "macos"
    if platform.system() == "Linux" and "microsoft" in platform.release().lower():
        return "wsl"
    fields = apt.os_release()
    family = [fields.get("ID", ""), *fields.get("ID_LIKE", "").split()]
    return next((name for name in family if name in _ENGINE), "other")


def how_to_get_engine(where: str) -> str:
    """Return the lines that say how to get an engine on a platform, and what works on any other."""
    return "\n".join(dict.fromkeys((_ENGINE.get(where, _ENGINE["other"]), _ENGINE["other"])))


def how_to_get_chromium(where: str) -> str:
    """Return the lines that say how to get a Chromium."""
    return _CHROMIUM.get(where, "\n".join(_CHROMIUM.values()))


def how_to_get_postgres(where: str) -> str:
    """Return the lines that say how to get a PostgreSQL server."""
    return _POSTGRES.get(where, "\n".join(_POSTGRES.values()))
