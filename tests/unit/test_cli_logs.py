"""`devenv logs`: harmless on a terminal, untouched in a pipe; Compose is played by a script."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from fakedocker import fake_docker

ROOT = Path(__file__).parents[2]
HOSTILE = b"web-1  | \x1b]52;c;aGk=\x07[/foo] \x1b[31mred\x1b[0m \xff end\nweb-1  | " + b"x" * 10_000_000 + b"\n"
COMMAND = [sys.executable, "-m", "devenv", "logs"]


def play(folder: Path, rest: str) -> dict[str, str]:
    """Let Compose resolve a project, and do `rest` for the logs."""
    (folder / "compose.yaml").touch()
    (folder / "hostile").write_bytes(HOSTILE)
    config = """case "$*" in *config*) echo '{"name": "p", "services": {"web": {}}}'; exit;; esac"""
    environ = fake_docker(folder, f"{config}\n{rest}") | {"PYTHONPATH": str(ROOT), "TERM": "xterm"}
    environ.pop("NO_COLOR", None)
    return environ


def on_terminal(folder: Path, environ: dict[str, str], *options: str) -> bytes:
    """Return what a terminal gets."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([*COMMAND, *options], cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=theirs)
    os.close(theirs)
    data = bytearray()
    while True:
        try:
            data += os.read(ours, 1 << 16)
        except OSError:  # how Linux says that the other side was closed (EIO)
            break
    os.close(ours)
    assert process.wait(timeout=30) == 0
    return bytes(data)


def test_a_terminal_gets_text_and_our_colours_only(tmp_path: Path) -> None:
    shown = on_terminal(tmp_path, play(tmp_path, "cat hostile"))
    first, _, rest = shown.partition(b"\r\n")
    assert first == "\x1b[36mweb-1  |\x1b[0m [/foo] red \ufffd end".encode()
    assert b"\x1b]" not in shown
    assert rest.count(b"x") == 10_000_000
    plain = on_terminal(tmp_path, play(tmp_path, "head -n 1 hostile"), "--no-color")
    assert b"\x1b" not in plain


def test_a_pipe_gets_every_byte_as_it_is(tmp_path: Path) -> None:
    environ = play(tmp_path, "cat hostile")
    done = subprocess.run(COMMAND, cwd=tmp_path, env=environ, capture_output=True, check=True, timeout=30)
    assert done.stdout == HOSTILE
    assert done.stderr == b""


def test_secrets_are_masked_in_a_pipe_and_on_a_terminal(tmp_path: Path) -> None:
    environ = play(tmp_path, "echo 'web-1  | it is pl4nted-value'")
    script = Path(environ["PATH"].partition(os.pathsep)[0]) / "docker"
    script.write_text(
        script.read_text().replace('{"web": {}}', '{"web": {"environment": {"API_TOKEN": "pl4nted-value"}}}')
    )
    done = subprocess.run(COMMAND, cwd=tmp_path, env=environ, capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout == "web-1  | it is ••••\n"
    assert on_terminal(tmp_path, environ, "--no-color") == "web-1  | it is ••••\r\n".encode()


def test_the_options_reach_compose(tmp_path: Path) -> None:
    environ = play(tmp_path, 'echo "$@"')
    command = [*COMMAND, "-f", "--tail", "5", "--timestamps", "web"]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout == "compose logs --no-color --tail 5 --follow --timestamps web\n"


def test_a_reader_that_has_enough_is_no_error(tmp_path: Path) -> None:
    environ = play(tmp_path, "cat hostile 2>/dev/null || exit 255")
    shell = f"{' '.join(COMMAND)} 2>err | head -c 5; code=${{PIPESTATUS[0]}}; echo; echo $code"
    done = subprocess.run(
        ["bash", "-c", shell], cwd=tmp_path, env=environ, capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout == "web-1\n141\n"
    assert (tmp_path / "err").read_text() == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_following_ends_with_ctrl_c_and_takes_compose_along(tmp_path: Path, number: signal.Signals) -> None:
    environ = play(tmp_path, "echo 'web-1  | line'; exec sleep 60")
    process = subprocess.Popen(
        [*COMMAND, "-f"], cwd=tmp_path, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"web-1  | line\n"
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert told == b""
    assert psutil.wait_procs(children, timeout=5)[1] == []


def test_an_engine_that_does_not_answer(tmp_path: Path) -> None:
    environ = play(tmp_path, "echo 'Cannot connect to the Docker daemon at unix:///x.sock.' >&2; exit 1")
    done = subprocess.run(COMMAND, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 3
    assert "unix:///x.sock" in done.stderr


WARNING = """echo 'time="2026-01-01T00:00:00Z" level=warning msg="Cannot read \\"[/foo]\\": no logs are kept"' >&2"""


def test_a_logging_driver_that_keeps_nothing_is_told_at_once(tmp_path: Path) -> None:
    environ = play(tmp_path, f"{WARNING}; echo 'web-1  | line'; exec sleep 60")
    command = [*COMMAND, "-f"]
    process = subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stderr is not None
    assert process.stderr.readline() == b'devenv: warning: Cannot read "[/foo]": no logs are kept\n'
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130


def test_following_never_makes_compose_wait_for_a_reader_of_its_complaints(tmp_path: Path) -> None:
    flood = "i=0; while [ $i -lt 20000 ]; do echo a complaint of no interest >&2; i=$((i+1)); done"
    environ = play(tmp_path, f"{flood}; echo 'web-1  | line'")
    done = subprocess.run(
        [*COMMAND, "-f"], cwd=tmp_path, env=environ, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "web-1  | line\n"
