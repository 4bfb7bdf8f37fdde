"""Where the project's virtual environment is, and the pip to use before and after it exists."""

from __future__ import annotations

import sys
from pathlib import Path

from scripts.machine.process import project_root


def venv_folder() -> Path:
    """Return the folder of the project's virtual environment."""
    return project_root() / ".venv"


def venv_python() -> Path:
    """Return the interpreter of the project's virtual environment, which may not exist yet."""
    return venv_folder() / "bin" / "python"


def pip_command() -> list[str]:
    """Return the command for pip: the virtual environment's own, since a system Python may have none."""
    python = venv_python()
    return [str(python) if python.exists() else sys.executable, "-m", "pip"]
