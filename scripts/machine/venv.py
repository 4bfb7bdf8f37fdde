"""Make the project's virtual environment: every package of requirements.lock, by hash, and the project itself.

Usage: scripts/venv

A stamp inside the environment says what it was made from; while that is unchanged nothing is done. An install that
was cut short leaves a mark, and the next run starts the environment anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from devenv.core.errors import ToolMissing
from scripts.machine import apt
from scripts.machine.process import ask, must, project_root
from scripts.machine.report import run_script, say
from scripts.machine.venv_paths import venv_folder, venv_python

_STAMP = ".devenv-stamp.json"
_UNFINISHED = ".devenv-unfinished"
# What the environment has from its own making or from the second step, so that no lock names it.
_NOT_LOCKED = {"pip", "setuptools", "wheel", "devenv"}
_PIN = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==", re.MULTILINE)


def wanted_stamp(root: Path) -> dict[str, str]:
    """Return what the environment has to be made from: place, lock, and the parts of pyproject.toml that install."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    parts = [project.get(table) for table in ("project", "build-system")] + [project["tool"].get("hatch")]
    return {
        "root": str(root),  # scripts in bin/ carry it: a copied or moved environment does not work
        "lock": hashlib.sha256((root / "requirements.lock").read_bytes()).hexdigest(),
        "project": hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest(),
    }


def read_stamp(folder: Path) -> dict[str, str]:
    """Return the stamp of an environment; empty where it has none or one that cannot be read."""
    try:
        stamp = json.loads((folder / _STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def is_usable(python: Path) -> bool:
    """Whether an environment's interpreter still runs and is new enough; its base may have been removed."""
    return (
        python.exists()
        and subprocess.run(
            [python, "-c", "import sys, pip; sys.exit(sys.version_info < (3, 11))"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        ).returncode
        == 0
    )


def ensure_venv(root: Path, folder: Path, python: Path) -> None:
    """Bring the environment to what the lock and pyproject.toml say; a second process waits for the first.

    Raises ToolMissing where this Python cannot make environments, DevenvError when an install fails.
    """
    wanted = wanted_stamp(root)
    with _one_at_a_time(root / "requirements.lock"):
        stamp = read_stamp(folder)
        broken = (folder / _UNFINISHED).exists() or stamp.get("root", wanted["root"]) != wanted["root"]
        if broken or not is_usable(python):
            _make(folder)
            stamp = {}
        if stamp == wanted:
            return
        (folder / _UNFINISHED).touch()
        (folder / _STAMP).unlink(missing_ok=True)
        if stamp.get("lock") != wanted["lock"]:
            _install_locked(root, python)
        _install_project(root, python)
        (folder / _STAMP).write_text(json.dumps(wanted), encoding="utf-8")
        (folder / _UNFINISHED).unlink()
        say(f"venv: {folder.name} is ready")


@contextmanager
def _one_at_a_time(file: Path) -> Iterator[None]:
    with file.open("rb") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _make(folder: Path) -> None:
    _require_ensurepip()
    say(f"venv: making {folder.name} with Python {sys.version.split()[0]}")
    # The mark goes in first and stays: `venv --clear` would take it away, and an interruption would go unseen.
    folder.mkdir(exist_ok=True)
    (folder / _UNFINISHED).touch()
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != _UNFINISHED:
            entry.unlink()
    must([sys.executable, "-m", "venv", str(folder)], "making the virtual environment")


def _require_ensurepip() -> None:
    # Debian keeps ensurepip in a package of its own, named after the version.
    if ask([sys.executable, "-c", "import ensurepip, venv"]).returncode == 0:
        return
    package = f"python3.{sys.version_info.minor}-venv"
    if not apt.can_install():
        raise ToolMissing(f"{sys.executable} cannot make virtual environments", f"sudo apt-get install {package}")
    apt.require_candidate(package)
    apt.install([package])


def _install_locked(root: Path, python: Path) -> None:
    say("venv: installing the packages of requirements.lock")
    lock = root / "requirements.lock"
    pip = [str(python), "-m", "pip"]
    must(
        [*pip, "install", "--no-deps", "--require-hashes", "-r", str(lock)],
        "installing the locked packages",
        hint="check the network and pip's settings (`pip config list`); `make setup` again continues",
    )
    # A package that left the lock would hide an import that nothing provides any more.
    listed = json.loads(must([*pip, "list", "--format=json"], "listing the packages"))
    kept = {normalized(name) for name in _PIN.findall(lock.read_text(encoding="utf-8"))} | _NOT_LOCKED
    if gone := sorted(name for each in listed if (name := normalized(each["name"])) not in kept):
        must([*pip, "uninstall", "-y", *gone], "removing packages that are no longer in the lock")


def _install_project(root: Path, python: Path) -> None:
    must(
        [str(python), "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index", "-e", str(root)],
        "installing the project",
        hint="its pyproject.toml may be invalid: see the lines above",
    )


def normalized(name: str) -> str:
    """Return a package name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def main(arguments: Sequence[str]) -> None:
    """Run scripts/venv."""
    del arguments
    os.umask(0o022)
    ensure_venv(project_root(), venv_folder(), venv_python())


if __name__ == "__main__":
    run_script(main)
