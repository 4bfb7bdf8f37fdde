"""Make the project's virtual environment: every package of requirements.lock, by hash, and the project itself.

Usage: scripts/venv

A stamp inside the environment says what it was made from; while that is unchanged nothing is done. It is written last,
so that an environment without one, where an install was cut short, is made anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import sys
import tomllib
from pathlib import Path

from devenv.core.errors import ToolMissing, UsageError
from scripts.machine import apt
from scripts.machine.process import ROOT, ask, must, run_script, say
from scripts.machine.system import can_install

STAMP = ".devenv-stamp.json"
# What the environment has from its own making or from the second step, so that no lock names it.
_NOT_LOCKED = {"pip", "setuptools", "wheel", "devenv"}


def pip_command(root: Path = ROOT) -> list[str]:
    """Return the command for pip: the virtual environment's own, since a system Python may have none."""
    python = root / ".venv" / "bin" / "python"
    return [str(python) if python.exists() else sys.executable, "-m", "pip"]


def wanted_stamp(root: Path) -> dict[str, str]:
    """Return what the environment has to be made from: place, lock, and the parts of pyproject.toml that install."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    parts = [project.get(table) for table in ("project", "build-system")] + [project["tool"].get("hatch")]
    return {
        "root": str(root),  # scripts in bin/ carry it: a copied or moved environment does not work
        "lock": hashlib.sha256((root / "requirements.lock").read_bytes()).hexdigest(),
        "project": hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest(),
    }


def ensure_venv(root: Path) -> None:
    """Bring the environment to what the lock and pyproject.toml say; a second process waits for the first.

    Raises ToolMissing where this Python cannot make environments, DevenvError when an install fails, and UsageError
    where .venv is a link to the environment of another checkout, which must not be emptied.
    """
    wanted = wanted_stamp(root)
    file = root / ".venv" / STAMP
    with (root / "requirements.lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = _read_stamp(file)
        if file.parent.is_symlink() and stamp.get("root", wanted["root"]) != wanted["root"]:
            hint = "remove the link: the next run makes an environment here"
            raise UsageError(f"{file.parent} is a link to the environment of {stamp['root']}", hint)
        if stamp.get("root") != wanted["root"] or not _is_usable(file.parent / "bin" / "python"):
            _make(file.parent)
            stamp = {}
        if stamp == wanted:
            return
        file.unlink(missing_ok=True)
        if stamp.get("lock") != wanted["lock"]:
            _install_locked(root)
        must(
            [*pip_command(root), "install", "--no-deps", "--no-build-isolation", "--no-index", "-e", str(root)],
            "installing the project",
            hint="its pyproject.toml may be invalid: see the lines above",
        )
        file.write_text(json.dumps(wanted), encoding="utf-8")
        say("venv: .venv is ready")


def _read_stamp(file: Path) -> dict[str, str]:
    try:
        stamp = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def _is_usable(python: Path) -> bool:
    # Its base may have been removed, or be another version now.
    code = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
    return python.exists() and ask([str(python), "-c", code]).returncode == 0


def _make(folder: Path) -> None:
    # Debian keeps ensurepip in a package of its own, named after the version.
    if ask([sys.executable, "-c", "import ensurepip, venv"]).returncode != 0:
        package = f"python3.{sys.version_info.minor}-venv"
        if not can_install():
            raise ToolMissing(f"{sys.executable} cannot make virtual environments", f"sudo apt-get install {package}")
        apt.install(package)
    say(f"venv: making {folder.name} with Python {sys.version.split()[0]}")
    must([sys.executable, "-m", "venv", "--clear", str(folder)], "making the virtual environment")


def _install_locked(root: Path) -> None:
    say("venv: installing the packages of requirements.lock")
    lock = root / "requirements.lock"
    pip = pip_command(root)
    must(
        [*pip, "install", "--no-deps", "--require-hashes", "-r", str(lock)],
        "installing the locked packages",
        hint="check the network and pip's settings (`pip config list`); `make setup` again continues",
    )
    # A package that left the lock would hide an import that nothing provides any more.
    listed = json.loads(must([*pip, "list", "--format=json"], "listing the packages"))
    pins = re.findall(r"^([A-Za-z0-9][\w.-]*)==", lock.read_text(encoding="utf-8"), re.MULTILINE)
    kept = {_normalized(name) for name in pins} | _NOT_LOCKED
    if gone := sorted(name for each in listed if (name := _normalized(each["name"])) not in kept):
        must([*pip, "uninstall", "-y", *gone], "removing packages that are no longer in the lock")


def _normalized(name: str) -> str:
    # As PEP 503 compares names.
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    os.umask(0o022)
    run_script(lambda _: ensure_venv(ROOT))
