from __future__ import annotations

import stat
from pathlib import Path

import pytest

from scripts.machine.images import read_variable, write_variable

NAME = "PYTHON_IMAGE"
COMMENT = "Written by a test."


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", ""),
        ("PYTHON_IMAGE=a:1\n", "a:1"),
        ("export PYTHON_IMAGE = a:1\n", "a:1"),
        ("PYTHON_IMAGE='a:1'\nX=2\n", "a:1"),
        ('PYTHON_IMAGE="a:1"\r\n', "a:1"),
        ("PYTHON_IMAGE=a:1 # why\n", "a:1"),
        ("PYTHON_IMAGE=a:1\nPYTHON_IMAGE=b:2\n", "b:2"),
        ("# PYTHON_IMAGE=a:1\nMY_PYTHON_IMAGE=b\nPYTHON_IMAGE_X=c\n", ""),
    ],
)
def test_a_value_is_read_as_compose_reads_it(tmp_path: Path, text: str, value: str) -> None:
    file = tmp_path / ".env"
    file.write_bytes(text.encode())
    assert read_variable(file, NAME) == value


def test_a_missing_file_has_no_value_and_is_made(tmp_path: Path) -> None:
    file = tmp_path / "compose" / ".env"
    assert read_variable(file, NAME) == ""
    write_variable(file, NAME, "a:1", COMMENT)
    assert file.read_text() == "# Written by a test.\nPYTHON_IMAGE=a:1\n"


def test_only_its_own_line_changes_and_stays_where_it_was(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    before = b"# my settings\r\nPORT=3000\r\n\nexport PYTHON_IMAGE=old\nLATIN=\xe9\nlast=no newline"
    file.write_bytes(before)
    file.chmod(0o600)
    write_variable(file, NAME, "new:1", COMMENT)
    write_variable(file, NAME, "new:2", COMMENT)
    assert file.read_bytes() == (
        b"# my settings\r\nPORT=3000\r\n\n# Written by a test.\nPYTHON_IMAGE=new:2\nLATIN=\xe9\nlast=no newline"
    )
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_taking_it_out_leaves_what_was_there_before(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    for text in ("A=1\nB=2\n", "A=1\r\nB=2", ""):
        file.write_bytes(text.encode())
        write_variable(file, NAME, "a:1", COMMENT)
        write_variable(file, NAME, "", COMMENT)
        assert file.read_bytes().decode().removesuffix("\n") == text.removesuffix("\n")


def test_nothing_is_written_where_nothing_changes(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    write_variable(file, NAME, "", COMMENT)
    assert not file.exists()
    write_variable(file, NAME, "a:1", COMMENT)
    before = file.stat()
    write_variable(file, NAME, "a:1", COMMENT)
    assert file.stat().st_ino == before.st_ino


def test_a_symbolic_link_keeps_pointing_at_its_file(tmp_path: Path) -> None:
    real = tmp_path / "real.env"
    real.write_text("A=1\n")
    link = tmp_path / ".env"
    link.symlink_to(real)
    write_variable(link, NAME, "a:1", COMMENT)
    assert link.is_symlink()
    assert read_variable(real, NAME) == "a:1"


def test_a_write_leaves_no_draft_behind(tmp_path: Path) -> None:
    write_variable(tmp_path / ".env", NAME, "a:1", COMMENT)
    assert [entry.name for entry in tmp_path.iterdir()] == [".env"]
