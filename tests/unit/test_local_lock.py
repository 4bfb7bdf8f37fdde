"""One process at a time: who is first is named, and the lock is free with the end of the block, whoever has a copy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from devenv.core.errors import Refused
from devenv.core.stored import only_one

# A child as another thread forks it, which is not yet replaced by its program: all files are open in it.
FORKED = """
import os, sys, time
from pathlib import Path
from devenv.core.stored import only_one
file = Path(sys.argv[1])
with only_one(file, "it"):
    child = os.fork()
    if not child:
        time.sleep(30)
        os._exit(0)
with only_one(file, "it"):
    print("free")
os.kill(child, 9)
os.waitpid(child, 0)
"""


def test_a_child_that_is_just_being_started_holds_nothing_back(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FORKED, str(tmp_path / "lock")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout == "free\n", done.stderr


def test_who_is_first_is_named(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    waits = "import sys, time; from pathlib import Path; from devenv.core.stored import only_one\n"
    waits += "with only_one(Path(sys.argv[1]), 'it'): print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", waits, str(file)], stdout=subprocess.PIPE, text=True) as first:
        try:
            assert first.stdout is not None
            assert first.stdout.readline() == "held\n"
            with (
                pytest.raises(Refused, match=f"it is being deployed already by process {first.pid}"),
                only_one(file, "it"),
            ):
                pass
        finally:
            first.kill()
    with only_one(file, "it"):
        assert file.read_text().strip().isdecimal()
