"""The docker SDK is imported by the threads that need it, never by the start of the program."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("docker", "requests", "urllib3", "http", "ssl", "email", "importlib.metadata")


def test_the_backend_imports_no_sdk() -> None:
    code = (
        "import sys, devenv.backends.docker.backend, devenv.backends.docker.endpoint\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]", done.stdout
