"""Commands of the user's own: values stay within their arguments, and they pass the guard and are written down."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from devenv.cli import main
from devenv.control.audit import AuditLog
from devenv.control.commands import CommandControl, fits, key_of, line_of, values_of
from devenv.control.guard import Guard
from devenv.core.command_settings import CommandSettings
from devenv.core.errors import Refused
from devenv.core.model import Action, Change, LogLine, Phase
from tests.terminal.cluster import pod
from tests.terminal.scripted import container

HOSTILE = "a b'; touch /tmp/pwned; echo \"$(id)"


def control(tmp_path: Path, **guard: object) -> CommandControl:
    log = AuditLog(tmp_path / "audit.jsonl")
    return CommandControl(Guard(log, **guard), os.environ, str(tmp_path))  # type: ignore[arg-type]


def until_ended(running: CommandControl) -> tuple[Action, list[str]]:
    seen: list[Change] = []
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        seen += running.drain()
        ends = [one for one in seen if isinstance(one, Action) and one.phase in (Phase.DONE, Phase.FAILED)]
        if ends:
            return ends[0], [one.text for one in seen if isinstance(one, LogLine) and one.key == key_of("act")]
        time.sleep(0.01)
    raise AssertionError(seen)


@pytest.mark.parametrize(
    "command",
    [
        CommandSettings(command=("printf", "%s\\n", "<{service}>", "--n={word}", "{{.Names}}"), inputs=("word",)),
        CommandSettings(shell='printf "%s\\n" "<$service>" "--n=$word" "{{.Names}}"', inputs=("word",)),
    ],
)
def test_a_value_is_one_argument_whatever_is_in_it(command: CommandSettings, tmp_path: Path) -> None:
    running = control(tmp_path)
    values = {"service": HOSTILE, "word": "$HOME {service}"}
    running.request(running.plan("act", command, values, "web"), command, values)
    end, lines = until_ended(running)
    assert end.phase is Phase.DONE, end.detail
    assert lines == [f"<{HOSTILE}>", "--n=$HOME {service}", "{{.Names}}"]
    (entry,) = AuditLog(tmp_path / "audit.jsonl").entries()
    assert (entry.what, entry.verdict) == ("act web", "done")


def test_it_fits_the_lines_of_its_kind_that_have_what_it_names() -> None:
    web, cluster = values_of(container("web"), "shop"), values_of(pod("web"), "shop")
    absent = values_of(container("web", container_id=""), "shop")
    top = CommandSettings(command=("docker", "top", "{container}"))
    assert [fits(top, values) for values in (web, absent, cluster)] == [True, False, False]
    of_pod = CommandSettings(shell='kubectl top pod "$pod" -n "$namespace"', on="pod")
    assert [fits(of_pod, values) for values in (web, cluster)] == [False, True]
    assert fits(CommandSettings(command=("make", "{target}"), inputs=("target",)), {})
    assert line_of(top, web) == ["docker", "top", "shop-web-1"]


def test_what_fails_tells_its_last_lines_and_what_is_cancelled_ends(tmp_path: Path) -> None:
    running = control(tmp_path)
    fails = CommandSettings(shell="echo one; echo no such table >&2; exit 3", output="silent")
    running.request(running.plan("act", fails, {}, ""), fails, {})
    end, lines = until_ended(running)
    assert (end.phase, lines) == (Phase.FAILED, [])
    assert end.detail == "act ended with exit code 3\none\nno such table"
    waits = CommandSettings(shell="echo begun; sleep 600 & wait")
    action = running.request(running.plan("act", waits, {}, ""), waits, {})
    running.cancel(action.id)
    end, _ = until_ended(running)
    assert (end.phase, end.detail) == (Phase.FAILED, "act was cancelled")


def test_read_only_mode_and_clusters_that_are_not_to_be_changed_refuse_it(tmp_path: Path) -> None:
    touch = CommandSettings(command=("touch", "made"))
    for running, values in (
        (control(tmp_path, read_only=True), {}),
        (control(tmp_path), {"context": "production", "namespace": "shop"}),
    ):
        plan = running.plan("act", touch, values, "")
        assert not plan.allowed
        with pytest.raises(Refused):
            running.request(plan, touch, values)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("line", "told", "hint"),
    [
        ('command = ["x", "{servce}"]', "commands.act.command: {servce} is nothing that it knows", "Known: container"),
        ("shell = \"x '{service}'\"", "commands.act.shell: {service} is not put into a text", '"$service"'),
        ('key = "r"\nshell = "x"', "commands.act.key: r is the key of restart", "Free letters"),
        ('key = "?"\nshell = "x"', "commands.act.key: ? is the key of help", ""),
        ('on = "node"\nshell = "x"', "commands.act.on must be", "container"),
        ('help = "x"', "commands.act: it needs either command or shell", "docker"),
        ('shell = "x"\n[commands.restart]\nshell = "x"', "commands.restart: restart is a command of devenv", ""),
    ],
)
def test_mistakes_are_told_by_file_line_and_key(
    line: str,
    told: str,
    hint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "devenv.toml").write_text(f"[commands.act]\n{line}\n")
    monkeypatch.chdir(tmp_path)
    assert main(["config"]) == 2
    said = capsys.readouterr().err
    assert f": {told}" in said
    assert "devenv.toml:" in said
    assert hint in said
