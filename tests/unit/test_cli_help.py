"""Help: every command stands in a group, has an example that is one, and shows options of its own runtime alone."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from devenv.cli import completion
from devenv.cli.help import EXAMPLES, GROUPS, commands_of
from devenv.cli.parser import PASSED, build_parser, parse_arguments

SETTINGS = '[manifests.overlays.dev]\npath = "k8s"\n[tasks.lint]\ncommand = "x"\n[ci.jobs.gate]\ntasks = ["lint"]\n'
PASSED_ON = ("kubectl", "minikube", *PASSED)  # their help is their own
COMMANDS = {name: command for name, command in commands_of(build_parser()) if name not in PASSED_ON}


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_an_example_that_devenv_takes(name: str) -> None:
    found = re.search(r"^example:\s+(.+?)( \|.*)?$", COMMANDS[name].format_help(), re.MULTILINE)
    assert found, "its help ends with one"
    line = found[1]
    if not line.startswith("devenv "):
        assert f"devenv {name}" in line, "a command for another program's line"
        return
    words = shlex.split(line)[1:]
    assert " ".join(words).startswith(name), "of this command, or of one below it"
    assert parse_arguments(words).command == words[0]


def test_every_example_is_of_a_command() -> None:
    assert set(EXAMPLES) <= set(COMMANDS)


def test_the_help_of_devenv_has_each_command_once_in_its_group() -> None:
    text = build_parser().format_help()
    assert all(f"  {title}:\n" in text for title in GROUPS)
    top = [name for name in COMMANDS if " " not in name] + list(PASSED_ON)
    lines = [line.split()[0] for line in text.splitlines() if line.startswith("    ") and line[4:5].strip()]
    assert {name: lines.count(name) for name in top} == dict.fromkeys(top, 1)


@pytest.mark.parametrize(
    ("command", "shown", "hidden"),
    [
        ("up", "--project-name", "--namespace"),
        ("logs", "--profile", "--context"),
        ("kube logs", "--namespace", "--env-file"),
        ("kube rollout undo", "--context", "--project-directory"),
        ("status", "--context", ""),
        ("status", "--profile", ""),
    ],
)
def test_options_of_the_other_runtime_are_taken_and_not_shown(command: str, shown: str, hidden: str) -> None:
    text = COMMANDS[command].format_help()
    assert shown in text
    if hidden:
        assert hidden not in text
        words = ["deployment/a"] if command.startswith("kube") else []
        given = parse_arguments([*command.split(), hidden, "x", *words])
        assert "x" in str(vars(given))


@pytest.mark.parametrize(
    ("command", "dest"),
    [
        ("restart", "services"),
        ("status", "after_context"),
        ("kube logs", "after_namespace"),
        ("kube logs", "targets"),
        ("kube rollout undo", "targets"),
        ("deploy", "overlay"),
        ("manifests check", "overlays"),
        ("ci pr", "jobs"),
        ("run", "tasks"),
        ("doctor", "checks"),
        ("config", "keys"),
        ("history", "criterion"),
    ],
)
def test_a_shell_completes_names_where_one_is_expected(command: str, dest: str) -> None:
    action = next(action for action in COMMANDS[command]._actions if action.dest == dest)
    assert callable(action.completer)  # type: ignore[attr-defined]  # argcomplete's documented way


def test_names_of_the_project_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "devenv.toml").write_text(SETTINGS)
    monkeypatch.chdir(tmp_path)
    nothing = argparse.Namespace(command="run")

    def answers(name: str, prefix: str = "") -> list[str]:
        return completion.ANSWERS[name](nothing, prefix)

    assert answers("overlays") == ["dev"]
    assert answers("tasks") == ["lint"]
    assert answers("jobs") == ["gate"]
    assert "kubernetes.allow" in answers("settings")
    assert "ports" in answers("checks")
    assert "deployment/" in answers("objects", "dep")
    (tmp_path / "devenv.toml").write_text("wrong = 1\n")
    assert answers("overlays") == [], "a message would end up in what the user types"


@pytest.mark.parametrize(
    ("line", "answers"),
    [
        ("devenv doctor po", {"ports"}),
        ("devenv deploy ", {"dev"}),
        ("devenv deploy --verify --dry", {"--dry-run"}),
        ("devenv run ", {"lint"}),
        ("devenv ci pr --job ", {"gate"}),
        ("devenv status -o ", {"json", "yaml", "wide"}),
        ("devenv kube logs depl", {"deployment/"}),
    ],
)
def test_a_shell_gets_names_and_options_only_after_a_dash(
    line: str, answers: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "devenv.toml").write_text(SETTINGS)
    shell = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_IFS": "\n"}
    program = "import os, sys; os.dup2(1, 8); sys.argv = ['devenv']; from devenv.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=os.environ | shell,
        capture_output=True,
        text=True,
        check=False,
    )
    assert {word.strip() for word in done.stdout.splitlines()} == answers, done.stderr
