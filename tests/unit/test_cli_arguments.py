"""What may be typed, before and after the verb; and how little is loaded for it."""

from __future__ import annotations

import argparse
import errno
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from devenv.cli import keys, main, status, tui
from devenv.cli.change import passed_targets
from devenv.cli.help import commands_of
from devenv.cli.options import merge_options
from devenv.cli.parser import build_parser, parse_arguments
from devenv.core.errors import DevenvError

ROOT = Path(__file__).parents[2]
# `python -X importtime` of an empty program names about 60 modules with site; argparse brings another 20.
# 3.14's argparse writes in colour, for which it loads dataclasses, inspect and ast.
MODULES_ALLOWED = 110 if sys.version_info < (3, 14) else 135


def test_project_options_count_on_both_sides_of_the_verb() -> None:
    found = parse_arguments(
        [
            "-f",
            "a",
            "--profile",
            "x",
            "-p",
            "one",
            "up",
            "web",
            "-f",
            "b",
            "--profile",
            "y",
            "-p",
            "two",
            "--env-file",
            "e",
        ]
    )
    assert (found.files, found.profiles, found.env_files) == (("a", "b"), ("x", "y"), ("e",))
    assert (found.project_name, found.command, found.services) == ("two", "up", ["web"])
    before = parse_arguments(["--read-only", "--project-directory", "d", "status"])
    assert (before.read_only, before.project_directory, before.no_color, before.config) == (True, "d", None, None)


def test_no_verb_is_the_terminal() -> None:
    assert parse_arguments([]).command == "tui"
    assert parse_arguments(["-f", "a"]).files == ("a",)


def test_no_words_mean_what_the_parser_makes_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are not parsed, so that the terminal paints sooner."""
    seen: list[argparse.Namespace] = []
    monkeypatch.setattr(tui, "run", lambda namespace: seen.append(namespace) or 0)
    assert main([]) == 0
    assert vars(seen[0]) == vars(parse_arguments([]))


def test_f_means_follow_after_logs_and_file_before() -> None:
    found = parse_arguments(["-f", "a", "logs", "-f", "-n", "5", "-t", "web", "--file", "b"])
    assert (found.files, found.follow, found.tail, found.timestamps) == (("a", "b"), True, 5, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ["up", "--bogus"],
        ["explode"],
        ["up", "--build", "--no-build"],
        ["up", "--wait", "--timeout", "-1"],
        ["up", "--wait", "--timeout", "soon"],
        ["logs", "--tail", "many"],
        ["completion", "tcsh"],
        ["--prof", "x", "up"],
        ["down", "-t", "x"],
    ],
)
def test_what_is_wrong_ends_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse_arguments(arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().out == ""


def test_every_exit_code_is_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["--help"])
    text = capsys.readouterr().out

    def codes(kind: type[DevenvError]) -> set[int]:
        return {kind.exit_code}.union(*(codes(child) for child in kind.__subclasses__()))

    assert codes(DevenvError) >= {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 130}
    listing = text.partition("exit codes:")[2].split()
    assert [str(code) for code in sorted(codes(DevenvError)) if str(code) not in listing] == []


def modules(*arguments: str, **variables: str) -> set[str]:
    """Return the names of all modules that a call of devenv loads."""
    script = (
        "import sys\nfrom devenv.cli import main\ntry:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "sys.stderr.write('MODULES ' + ' '.join(sys.modules))"
    )
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env=None or dict(variables))
    return set(done.stderr.rpartition("MODULES ")[2].split())


@pytest.mark.parametrize("arguments", [("--version",), ("completion", "bash"), ("up", "--help")])
def test_the_quick_ways_load_nothing_heavy(arguments: tuple[str, ...]) -> None:
    loaded = modules(*arguments)
    heavy = {"textual", "rich", "docker", "requests", "urllib3", "asyncio", "http.client", "subprocess", "tomllib"}
    assert loaded & (heavy - ({"subprocess"} if arguments[0] == "completion" else set())) == set()
    assert len(loaded) <= MODULES_ALLOWED + (40 if arguments[0] == "completion" else 0), sorted(loaded)


def test_reading_the_project_loads_no_docker_sdk_and_no_textual(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services: {}\n")
    loaded = modules("-f", str(tmp_path / "compose.yaml"), "up", "nobody", PATH=str(tmp_path))
    assert loaded & {"textual", "rich", "docker", "requests"} == set()


def test_errors_go_to_stderr_with_their_hint_and_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COMPOSE_FILE", raising=False)
    assert main(["status"]) == 5
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("devenv: invalid project: No Compose file found")
    assert "\n  hint: " in captured.err
    assert "\x1b" not in captured.err


def test_the_terminal_interface_needs_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tui"]) == 2
    assert "devenv status --json" in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert "devenv" in capsys.readouterr().out


def test_the_namespace_has_every_option_once() -> None:
    found: argparse.Namespace = parse_arguments(["up"])
    assert not [name for name in vars(found) if name.startswith(("before_", "after_"))]


def test_what_nobody_foresaw_is_a_sentence_and_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(arguments: argparse.Namespace) -> int:
        raise ZeroDivisionError("password=hunter2 is no number")

    monkeypatch.setattr(status, "run", broken)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert main(["status"]) == 70
    told = capsys.readouterr().err
    file = tmp_path / "devenv" / "last-fault.txt"
    assert re.match(r"devenv: fault in devenv: ZeroDivisionError: .* \(in cli/__init__\.py, line \d+\)", told)
    assert f"hint: Please report it with {file}" in told
    assert "Traceback" not in told
    assert "in broken" in file.read_text()
    assert "hunter2" not in told + file.read_text()


def test_a_state_folder_that_cannot_be_written_hides_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(arguments: argparse.Namespace) -> int:
        raise OSError(errno.EIO, "Input/output error")

    (tmp_path / "file").touch()
    monkeypatch.setattr(status, "run", broken)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert main(["status"]) == 70
    assert "Input/output error" in capsys.readouterr().err


COMMANDS = ("status", "up", "logs", "kube get pods", "manifests check", "secrets check", "verify", "deploy x", "audit")


@pytest.mark.parametrize("command", COMMANDS)
def test_in_a_deleted_folder_every_command_says_so(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert main(command.split()) == 5
    told = capsys.readouterr().err
    assert "The current folder cannot be used" in told
    assert "report" not in told


def test_the_page_of_keys_and_commands_is_what_the_tables_say() -> None:
    page = (Path(__file__).parents[2] / "docs/KEYS.md").read_text("utf-8")
    assert page == keys.page(), "write it anew: devenv keys > docs/KEYS.md"


@pytest.mark.parametrize(
    ("line", "targets", "given"),
    [
        ("exec -T -e web=1 db ls web", ("db",), {}),
        ("kill -s INT web", ("web",), {"signal": "INT"}),
        ("kill --signal=HUP", (), {"signal": "HUP"}),
        ("scale web=3 db=2", ("web", "db"), {"replicas": "2"}),
        ("cp web:/etc/hosts .", ("web",), {}),
        ("rm web", ("web",), {"stopped": "yes"}),
        ("rm -s -v", (), {}),
        ("pause web web db", ("web", "db"), {}),
    ],
)
def test_which_services_a_line_of_compose_is_about(line: str, targets: tuple[str, ...], given: dict[str, str]) -> None:
    verb, *words = line.split()
    assert passed_targets(verb, words, ("web", "db")) == (targets, given)


LINES = (
    "build --why web",
    "-p up status",  # a command's name as another option's value
    "-p up",
    "-p up frobnicate",
    "frobnicate",
    "--help",
    "--help up",
    "up --help",
    "up --frobnicate",
    "up --timeout soon",
    "--version build",
    "kube get pods",
    "kube logs --tail 5 web",
    "kube rollout undo",
    "cache info",
    "cache",
    "exec web build --help",
    "kubectl --context x get pods",
)


@pytest.mark.parametrize("line", LINES)
def test_only_the_typed_command_is_described_and_nobody_can_tell(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    def outcome(parse: Callable[[], argparse.Namespace]) -> tuple[object, str, str]:
        try:
            found: object = vars(parse())
        except SystemExit as ended:
            found = ended.code
        return (found, *capsys.readouterr())

    words = line.split()
    assert outcome(lambda: parse_arguments(words)) == outcome(lambda: merge_options(build_parser().parse_args(words)))


def test_a_call_describes_no_command_that_was_not_typed() -> None:
    assert [name for name, _ in commands_of(build_parser(["-f", "x", "build", "web"]))] == ["build"]
