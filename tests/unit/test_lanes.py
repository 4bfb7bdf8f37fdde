"""How tests run side by side: the Makefile's options and the scheduler of tests/conftest.py, on a few small files."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Each test takes long enough for the next one to go to an idle worker, where nothing holds it back.
FILE = """import os, time, pytest
{mark}
@pytest.mark.parametrize("number", range(4))
def test_it(number):
    time.sleep(0.1)
    with open("workers", "a") as file:
        file.write(f"{name} {{os.environ['PYTEST_XDIST_WORKER']}}\\n")
"""
# What pytest wrote of the tests when its workers start, and of which file each is: writing anew replaces it.
CONFTEST = """import os, pathlib
def pytest_xdist_setupnodes():
    written = sorted(pathlib.Path("tests/__pycache__").glob("*-pytest-*.pyc"))
    pathlib.Path("written").write_text("".join(f"{path} {path.stat().st_ino}\\n" for path in written))
"""
CLEANS = f"COMMAND = {('doctor', '--clean')!r}".replace("'", '"')  # removes what others left; not this file itself


def test_a_file_stays_on_one_worker_with_what_it_must_not_meet_and_is_rewritten_once(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "conftest.py").write_bytes((ROOT / "tests" / "conftest.py").read_bytes())
    for name, mark in (("first", CLEANS), ("second", CLEANS), ("third", ""), ("fourth", "")):
        (tmp_path / "tests" / f"test_{name}.py").write_text(FILE.format(name=name, mark=mark))
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "conftest.py").write_text(CONFTEST)
    lanes = re.search(r"^LANES \?= (.*)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert lanes is not None
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "COV_"))}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *shlex.split(lanes.group(1))]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    ran = [line.split() for line in (tmp_path / "workers").read_text().splitlines()]
    workers = {name: {worker for other, worker in ran if other == name} for name, _ in ran}
    assert len(ran) == 16
    assert {name: len(used) for name, used in workers.items()} == dict.fromkeys(workers, 1)
    assert workers["first"] == workers["second"]
    assert len({worker for _, worker in ran}) > 1, "side by side"
    written = dict(line.split() for line in (tmp_path / "written").read_text().splitlines())
    files = {Path(name).name.partition(".")[0] for name in written}
    assert files == {"conftest", *(f"test_{name}" for name in workers)}
    assert {name: str((tmp_path / name).stat().st_ino) for name in written} == written, "no worker rewrote one"
