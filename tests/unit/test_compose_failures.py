"""What Compose says when a project cannot be resolved, word for word from Compose 5.6, as errors of ours."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakedocker import fake_docker

from devenv.backends.compose import ComposeOptions, ProjectScope, begin_resolve, canonical
from devenv.backends.compose.failures import from_config
from devenv.core.errors import DevenvError, EngineForbidden, EngineUnreachable, ProjectError, ToolMissing
from devenv.core.model import Project

OPTIONS = ComposeOptions(directory="/p", files=("/p/compose.yaml",))
ENV_FILE = "env file /p/missing.env not found: stat /p/missing.env: no such file or directory"


@pytest.mark.parametrize(
    ("said", "kind", "told", "hint"),
    [
        (
            "go-yaml load error in parser (while parsing a block mapping) at L3.C3-L6.C4: did not find expected key",
            ProjectError,
            "/p/compose.yaml: line 3, column 3: did not find expected key (while parsing a block mapping)",
            "YAML",
        ),
        ("yaml: line 6: did not find expected key", ProjectError, "/p/compose.yaml: line 6: did not find", "YAML"),
        (
            "validating /p/compose.yaml: services.x.foo false schema",
            ProjectError,
            "/p/compose.yaml: services.x.foo is not a key that Compose knows",
            "Correct",
        ),
        (
            'service "x" depends on undefined service "zz": invalid compose project',
            ProjectError,
            '/p/compose.yaml: service "x" depends on undefined service "zz"',
            "Correct",
        ),
        (
            "error while interpolating services.x.image: required variable NOPE is missing a value: must be set",
            ProjectError,
            "/p/compose.yaml: required variables have no value: NOPE: must be set",
            ".env",
        ),
        (
            "error while interpolating services.a.image: required variable IMAGE is missing a value\n"
            "error while interpolating services.b.image: required variable IMAGE is missing a value\n"
            "error while interpolating services.b.ports.[]: required variable PORT is missing a value: set me",
            ProjectError,
            "/p/compose.yaml: required variables have no value: IMAGE; PORT: set me",
            ".env",
        ),
        ("first thing\nsecond thing", ProjectError, "/p/compose.yaml: first thing\n  second thing", "Correct"),
        ("no configuration file provided: not found", ProjectError, "No Compose file found", "-f"),
        (ENV_FILE, ProjectError, "the env_file /p/missing.env does not exist", "required: false"),
        (
            "label file /p/l not found: stat /p/l: no such file or directory",
            ProjectError,
            "the label_file /p/l does not exist",
            "Make it",
        ),
        (
            "failed to read /p/x.env: line 1: key cannot contain a space",
            ProjectError,
            "/p/compose.yaml: the env_file /p/x.env cannot be used: line 1: key cannot contain a space",
            "NAME=value",
        ),
        (
            'invalid project name "Bad Name": must consist only of lowercase alphanumeric characters, hyphens',
            ProjectError,
            "'Bad Name' is not a name for a project",
            "-p NAME",
        ),
        ("project name must not be empty", ProjectError, "The project has no name", "-p NAME"),
        ("stat /p/no.env: no such file or directory", ProjectError, "the file /p/no.env, named by", "Make it"),
        (
            "open /p/base.yaml: no such file or directory",
            ProjectError,
            "the file /p/base.yaml, named by an include or extends, cannot be read",
            "correct its path",
        ),
        ("docker: 'compose' is not a docker command.", ToolMissing, "no compose command", "Install"),
        ("docker: unknown command: docker compose", ToolMissing, "no compose command", "Install"),
        ('unsupported --progress value "json"', ToolMissing, "too old", "2.30"),
        (
            'Failed to initialize: unable to resolve docker endpoint: context "x": context not found',
            EngineUnreachable,
            'context "x"',
            "docker context ls",
        ),
        (
            "permission denied while trying to connect to the docker API at unix:///var/run/docker.sock",
            EngineForbidden,
            "permission denied",
            "usermod -aG docker",
        ),
        ("Cannot connect to the Docker daemon at tcp://127.0.0.1:1.", EngineUnreachable, "tcp://127.0.0.1:1", "Start"),
    ],
)
def test_translation(said: str, kind: type[DevenvError], told: str, hint: str) -> None:
    error = from_config(f'time="x" level=warning msg="noise"\n{said}\n', OPTIONS)
    assert type(error) is kind
    assert told in error.message
    assert "noise" not in error.message
    assert hint in error.hint


def test_hostile_text_is_made_safe() -> None:
    assert "\x1b" not in from_config("bad \x1b]0;x\x07 thing", OPTIONS).message


def test_of_several_files_the_one_that_is_not_yaml_is_named(tmp_path: Path) -> None:
    files = (str(tmp_path / "good.yaml"), str(tmp_path / "bad.yaml"))
    complaint = "go-yaml load error in parser (while parsing) at L1.C2-L3.C4: oops"
    environ = fake_docker(tmp_path, f'case "$*" in *bad.yaml*) echo "{complaint}" >&2; exit 1;; esac')
    options = ComposeOptions(directory=str(tmp_path), files=files)
    with pytest.raises(ProjectError) as caught:
        begin_resolve(options, environ=environ).result()
    assert caught.value.message == f"{files[1]}: line 1, column 2: oops (while parsing)"


def test_docker_that_is_not_installed_is_said_when_the_result_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    pending = begin_resolve(ComposeOptions(directory=str(tmp_path)))
    with pytest.raises(ToolMissing, match="not installed"):
        pending.result()


def test_a_project_folder_that_was_moved_away_is_no_missing_docker(tmp_path: Path) -> None:
    environ = fake_docker(tmp_path, "exit 0")
    with pytest.raises(ProjectError, match=r"The folder .*/moved is gone"):
        begin_resolve(ComposeOptions(directory=str(tmp_path / "moved")), environ=environ).result()


def test_a_compose_that_never_answers_is_ended(tmp_path: Path) -> None:
    environ = fake_docker(tmp_path, "exec sleep 60")
    pending = begin_resolve(ComposeOptions(directory=str(tmp_path)), environ=environ)
    with pytest.raises(ProjectError, match=r"within 0 s"):
        pending.result(timeout=0.2)
    with pytest.raises(ProjectError, match=r"within 0 s"):
        pending.result()


def test_warnings_are_kept_once_each(tmp_path: Path) -> None:
    line = r"time=\"now\" level=warning msg=\"The \\\"X\\\" variable is not set.\""
    environ = fake_docker(tmp_path, f'echo "{line}" >&2; echo "{line}" >&2; echo \'{{"name": "p"}}\'')
    pending = begin_resolve(ComposeOptions(directory=str(tmp_path)), environ=environ)
    assert pending.result().name == "p"
    assert pending.warnings == ('The "X" variable is not set.',)


def test_a_scope_resolves_again_when_asked_again(tmp_path: Path) -> None:
    environ = fake_docker(tmp_path, f'if [ -e {tmp_path}/fixed ]; then echo \'{{"name": "p"}}\'; else exit 1; fi')
    options = ComposeOptions(directory=str(tmp_path))
    scope = ProjectScope(options, begin_resolve(options, environ=environ), environ)
    with pytest.raises(ProjectError, match="no reason"):
        scope()
    assert scope.latest is None
    (tmp_path / "fixed").touch()
    assert scope().name == "p"
    assert scope.latest is not None


def test_a_missing_env_file_refuses_no_reading(tmp_path: Path) -> None:
    files = '[{"path": "/p/missing.env"}, {"path": "/o", "required": false}]'
    document = f'{{"name": "p", "services": {{"a": {{"env_file": {files}}}}}}}'
    environ = fake_docker(
        tmp_path, f"""case "$*" in *--no-env-resolution*) echo '{document}';; *) echo "{ENV_FILE}" >&2; exit 1;; esac"""
    )
    project = begin_resolve(ComposeOptions(directory=str(tmp_path)), environ=environ).result()
    assert project.services[0].env_files == ("/p/missing.env",)
    assert "the env_file /p/missing.env does not exist" in project.problem
    assert project.hint.startswith("Make it")
    with pytest.raises(ProjectError, match=r"env_file /p/missing\.env does not exist"):
        canonical(ComposeOptions(directory=str(tmp_path)), environ)


def test_what_no_option_helps_against_is_told_as_compose_first_said_it(tmp_path: Path) -> None:
    environ = fake_docker(tmp_path, """echo "unknown flag: --no-env-resolution"; echo "first words: $*" >&2; exit 1""")
    with pytest.raises(ProjectError) as caught:
        begin_resolve(ComposeOptions(directory=str(tmp_path)), environ=environ).result()
    assert "first words" in caught.value.message
    assert "--no-env-resolution" not in caught.value.message


def test_a_scope_may_have_another_way_to_know_the_project(tmp_path: Path) -> None:
    environ = fake_docker(tmp_path, "echo 'no configuration file provided' >&2; exit 1")
    asked: list[ProjectError] = []

    def instead(error: ProjectError) -> Project:
        asked.append(error)
        return Project("named", "/p", (), (), by_labels=True)

    scope = ProjectScope(ComposeOptions(directory=str(tmp_path)), environ=environ, instead=instead)
    assert scope().name == "named"
    assert scope.latest is not None
    assert "No Compose file found" in asked[0].message
