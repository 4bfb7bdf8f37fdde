"""Programs that tests fork are what `python -m` starts: arguments, environment, folder, streams, signals, exit code."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import forked

PROGRAM = """
import atexit, json, os, signal, sys, threading, time
atexit.register(print, "ended")
threading.Thread(target=lambda: (time.sleep(0.2), print("its thread has ended"))).start()
sys.stdout.reconfigure(errors="surrogateescape")
print(json.dumps({
    "arguments": sys.argv[1:], "environ": dict(os.environ), "folder": os.getcwd(), "first": sys.path[0],
    "streams": [(stream.encoding, stream.errors, stream.line_buffering) for stream in (sys.stdout, sys.stderr)],
    "name": __name__, "input": sys.stdin.read(), "bytecode": sys.dont_write_bytecode,
    "interrupt": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
    "terminate": int(signal.getsignal(signal.SIGTERM)),
}))
print("said to stderr", file=sys.stderr)
sys.exit(7)
"""


def test_it_is_what_python_starts(tmp_path: Path) -> None:
    (tmp_path / "show").mkdir()
    (tmp_path / "show" / "__main__.py").write_text(PROGRAM)
    environ = {"PATH": "/bin", "PYTHONPATH": f"{tmp_path}", "LC_ALL": "C.UTF-8", "HERE": "a\nb"}
    environ["PYTHONDONTWRITEBYTECODE"] = "1"
    words = ("one", "", "two three")
    with (tmp_path / "input").open("w+") as given:
        given.write("typed")
        given.seek(0)
        real = subprocess.run(
            [sys.executable, "-m", "show", *words],
            cwd=tmp_path, env=environ, stdin=given, capture_output=True, text=True, check=False,
        )  # fmt: skip
        given.seek(0)
        fork = forked.run("show", *words, cwd=tmp_path, env=environ, stdin=given)
    assert (fork.returncode, fork.stdout, fork.stderr) == (real.returncode, real.stdout, real.stderr)
    assert fork.returncode == 7


ENDS = ("pass", "sys.exit(300)", "sys.exit('why')", "print('x')", "sys.stdout = None", "1 / 0")


@pytest.mark.parametrize("end", ENDS)
def test_it_ends_as_python_does(tmp_path: Path, end: str) -> None:
    (tmp_path / "show").mkdir()
    (tmp_path / "show" / "__main__.py").write_text(f"import sys\n{end}\n")
    options = {"cwd": tmp_path, "env": {"PATH": "/bin"}, "stderr": subprocess.PIPE, "text": True}
    with Path("/dev/full").open("w") as full:
        real = subprocess.run([sys.executable, "-m", "show"], stdout=full, check=False, **options)
        fork = forked.run("show", stdout=full, **options)
    assert (fork.returncode, fork.stderr.splitlines()[-1:]) == (real.returncode, real.stderr.splitlines()[-1:])


def test_signals_reach_it_and_its_end_is_seen(tmp_path: Path) -> None:
    (tmp_path / "show").mkdir()
    (tmp_path / "show" / "__main__.py").write_text("import time\nprint('here', flush=True)\ntime.sleep(600)\n")
    for number in (signal.SIGKILL, signal.SIGTERM):
        with forked.Popen("show", cwd=tmp_path, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "here\n"
            assert process.poll() is None
            process.send_signal(number)
            assert process.wait(60) == process.poll() == -number
            assert not Path(f"/proc/{process.pid}").exists()
