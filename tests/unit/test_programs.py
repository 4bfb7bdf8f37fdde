"""Programs that are run to their end: what goes wrong says which program, why, and what helps."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from devenv.backends.programs import CommandFailed, finish, output_of, text_of
from devenv.core.errors import DevenvError, ToolMissing


def script(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def test_what_it_printed_is_returned_with_its_environment_and_without_a_terminal() -> None:
    text = "import os, sys; print(os.environ['WORD'], repr(sys.stdin.read()), 'caf\\u00e9')"
    environ = {"WORD": "hello", "PYTHONIOENCODING": "utf-8"}
    assert output_of(script(text), environ, timeout=30) == "hello '' café\n"


def test_it_runs_where_it_is_asked_to(tmp_path: Path) -> None:
    assert finish(script("import os; print(os.getcwd())"), timeout=30, folder=str(tmp_path)).stdout.decode() == (
        f"{tmp_path}\n"
    )


def test_its_complaints_are_where_they_were_written_if_all_is_to_be_one() -> None:
    text = "import sys; print('one', flush=True); print('two', file=sys.stderr, flush=True); print('three')"
    done = finish(script(text), timeout=30, merged=True)
    assert done.stdout.split() == [b"one", b"two", b"three"]
    assert finish(script(text), timeout=30).stderr.split() == [b"two"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import sys; print('done so far'); sys.exit('first\\nthe reason\\n')", "the reason"),
        ("import sys; print('only here'); sys.exit(3)", "only here"),
        ("import sys; sys.exit(3)", "it gave no reason (exit code 3)"),
        ("import sys; sys.exit('\\x1b[31mred\\x1b[0m')", "red"),
        ("import sys; sys.exit('login with password=hunter2')", "login with password=••••"),
        ("import sys; sys.exit('x' * 5000)", "x" * 300),
    ],
)
def test_a_failure_is_told_with_its_last_words(text: str, told: str) -> None:
    with pytest.raises(DevenvError) as caught:
        output_of(script(text), timeout=30, what="kind get clusters", failed="Try something else.")
    assert caught.value.message == f"kind get clusters failed: {told}"
    assert caught.value.hint == "Try something else."


def test_an_exit_code_is_no_error_to_who_reads_it() -> None:
    assert finish(script("import sys; sys.exit(3)"), timeout=30).returncode == 3


def test_a_program_that_cannot_be_started_is_a_missing_tool(tmp_path: Path) -> None:
    broken = tmp_path / "program"
    broken.write_text("no program\n")
    for command in ([str(broken)], [str(tmp_path / "absent")]):
        with pytest.raises(ToolMissing) as caught:
            output_of(command, timeout=30, install="Install it from there.")
        assert command[0] in caught.value.message
        assert caught.value.hint == "Install it from there."


def test_a_program_that_does_not_end_is_ended() -> None:
    began = time.monotonic()
    with pytest.raises(DevenvError, match=r"sleeper did not end within 1 s") as caught:
        output_of(script("import time; time.sleep(60)"), timeout=1, what="sleeper", slow="Is the engine up?")
    assert caught.value.hint == "Is the engine up?"
    assert time.monotonic() - began < 20


def test_a_program_that_is_absent_is_named_alone() -> None:
    with pytest.raises(ToolMissing, match=r"^no-such-program is not installed$"):
        finish(["no-such-program", "--help"], timeout=30)


def test_a_folder_that_is_gone_is_not_taken_for_a_missing_program(tmp_path: Path) -> None:
    with pytest.raises(ToolMissing, match="could not be started"):
        finish(script(""), timeout=30, folder=str(tmp_path / "gone"))


def test_complaints_are_returned_only_where_the_exit_code_does_not_count() -> None:
    text = "import sys; print('out'); print('\\x1b[31mcomplaint', file=sys.stderr); sys.exit(4)"
    assert text_of(script(text), timeout=30, check=False) == "out\ncomplaint\n"
    with pytest.raises(CommandFailed, match=r"tool: exit code 4: complaint$") as caught:
        text_of(script(text), timeout=30, what="tool")
    assert (caught.value.exit_code_seen, caught.value.output) == (4, "complaint")
    assert text_of(script("import sys; print('out'); print('no', file=sys.stderr)"), timeout=30) == "out\n"
