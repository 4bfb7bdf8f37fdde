"""devenv.toml while the terminal is open: what is changed in it holds, and what is wrong in it changes nothing."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from devenv.cli.options import read_settings
from devenv.cli.tui import SettingsFile
from devenv.control.audit import AuditLog
from devenv.control.guard import Guard
from devenv.core.masking import KNOWN
from devenv.core.settings import Config
from devenv.tui.theme import COLORBLIND, DARK
from tests.terminal.conftest import Opening
from tests.terminal.scripted import container

ARGUMENTS = argparse.Namespace(config=None, files=[], read_only=None, context=None, namespace=None)


def write(file: Path, text: str) -> None:
    file.write_text(text)


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(KNOWN, "settings", KNOWN.settings)
    with TemporaryDirectory() as folder:  # a short path: a message that wraps could not be looked for
        monkeypatch.chdir(folder)
        path = Path(folder, "devenv.toml")
        path.write_text('[terminal]\ntheme = "dark"\n')
        yield path


def of(file: Path, guard: Guard | None = None) -> tuple[Config, SettingsFile]:
    config = read_settings(ARGUMENTS)
    return config, SettingsFile(ARGUMENTS, config, guard or Guard.of(config))


async def test_keys_theme_and_columns_are_those_of_the_file_as_it_is_now(opened: Opening, file: Path) -> None:
    config, watched = of(file)
    async with opened(settings=config.terminal, settings_file=watched, size=(220, 50)) as terminal:
        await terminal.live(container("web"))
        assert terminal.app.theme == DARK.name
        write(file, '[terminal]\ntheme = "colorblind"\ncolumns = ["state", "ports"]\n[keys]\nrestart = "f5"\n')
        terminal.app.look_at_settings()
        await terminal.sees("devenv.toml was read again", "f5 restart")
        assert terminal.app.theme == COLORBLIND.name
        assert tuple(terminal.main.table.column_names) == ("service", "state", "ports")
        await terminal.press("r", "f5")
        await terminal.until(lambda: [plan.verb for plan in terminal.control.plans] == ["restart"])

        write(file, '[terminal]\ntheme = "colorblind"\n[keys]\nrestart = "f6"\nstop = "f6"\n')
        terminal.app.look_at_settings()
        await terminal.sees("what it said before holds on", "devenv.toml:4: keys.restart: f6 is")
        await terminal.press("f6", "f5")
        await terminal.until(lambda: [plan.verb for plan in terminal.control.plans] == ["restart", "restart"])

        write(file, "")
        terminal.app.look_at_settings()
        await terminal.sees("r restart")


def test_what_confirms_and_what_is_masked_is_read_again_and_a_wrong_file_changes_neither(
    file: Path, tmp_path: Path
) -> None:
    guard = Guard(AuditLog(tmp_path / "audit.jsonl"))
    _, watched = of(file, guard)
    assert not watched.changed()
    assert not guard.plan("restart", ("web",)).needs_confirmation
    file.write_text('[confirm]\nrestart = "ask"\n[mask]\nnames = ["BLUE_*"]\n')
    assert watched.changed()
    assert not watched.changed()
    watched.read()
    assert guard.plan("restart", ("web",)).needs_confirmation
    assert KNOWN.is_secret_name("BLUE_TEAM")
    file.write_text('read_only = true\n[keys]\nrestart = "l"\n')
    assert watched.changed()
    with pytest.raises(Exception, match=r"devenv\.toml:3: keys\.restart: l is the key of logs"):
        watched.read()
    assert guard.plan("restart", ("web",)).needs_confirmation
    assert guard.plan("restart", ("web",)).allowed
    assert KNOWN.is_secret_name("BLUE_TEAM")


def test_a_file_that_an_editor_moves_away_for_a_moment_is_not_gone(file: Path) -> None:
    _, watched = of(file)
    text = file.read_text()
    file.unlink()
    assert not watched.changed()
    file.write_text(text + "\n")
    assert watched.changed()
    file.unlink()
    assert not watched.changed()
    assert watched.changed()
    assert watched.read().terminal.theme == "auto"
