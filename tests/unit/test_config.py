"""Settings come from the right place, and a wrong one is told by file and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.core.errors import ProjectError, UsageError
from devenv.core.settings import WAIT_TIMEOUT, Config, current_folder, load_config


def write(folder: Path, text: str) -> Path:
    file = folder / "devenv.toml"
    file.write_text(text)
    return file


def test_defaults_without_a_file(tmp_path: Path) -> None:
    assert load_config(tmp_path, {}) == Config(root=None, read_only=False, wait_timeout=WAIT_TIMEOUT)


def test_the_file_is_found_upward_and_its_paths_are_its_own(tmp_path: Path) -> None:
    write(tmp_path, 'wait_timeout = 7\n[compose]\nfiles = ["deploy/compose.yaml"]\nenv_files = [".env.dev"]\n')
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    config = load_config(deep, {})
    assert config.root == tmp_path
    assert config.wait_timeout == 7
    assert config.compose.files == (tmp_path / "deploy/compose.yaml",)
    assert config.compose.env_files == (tmp_path / ".env.dev",)


def test_flags_beat_variables_beat_the_file(tmp_path: Path) -> None:
    write(tmp_path, "read_only = false\nwait_timeout = 7\n")
    environ = {"DEVENV_READ_ONLY": "1", "DEVENV_WAIT_TIMEOUT": "8"}
    assert load_config(tmp_path, {}).wait_timeout == 7
    assert load_config(tmp_path, environ).wait_timeout == 8
    assert load_config(tmp_path, environ).read_only is True
    assert load_config(tmp_path, environ, read_only=False, wait_timeout=9) == Config(
        root=tmp_path, read_only=False, wait_timeout=9
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("wait_timeuot = 1", "unknown key wait_timeuot"),
        ("[compose]\nfile = 'x'", "unknown key compose.file"),
        ("wait_timeout = 'soon'", "wait_timeout must be a number of seconds"),
        ("wait_timeout = -1", "wait_timeout must be a number of seconds"),
        ("wait_timeout = true", "wait_timeout must be a number of seconds"),
        ("wait_timeout = inf", "wait_timeout must be a number of seconds"),
        ("read_only = 1", "read_only must be true or false"),
        ("compose = 1", "compose must be a table"),
        ("[compose]\nfiles = 'x'", "compose.files must be a list of strings"),
        ("[compose]\nfiles = [1]", "compose.files[0] must be a string, not 1"),
        ("[logs]\nlines = 10", "logs.lines must be a whole number from 1000 to 1000000, not 10"),
        ("[logs]\nwidth = '2k'", "logs.width must be a whole number from 80 to 1048576"),
        ("[compose]\nproject_name = 3", "compose.project_name must be a string"),
        ("[compose", "not valid TOML"),
    ],
)
def test_a_wrong_file_names_itself_and_the_key(tmp_path: Path, text: str, told: str) -> None:
    file = write(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        load_config(tmp_path, {})
    assert str(file) in caught.value.message
    assert told in caught.value.message


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("# a comment\n\nwait_timeout = -1", 3),
        ("read_only = false\n[compose]\n\nfile = 'x'", 4),
        ("[compose]\nfiles = [\n  'a',\n  1,\n]", 2),
        ("[compose\nfiles = []", 1),
        ('[tasks.a]\ncommand = """\nwait_timeout = 1\n[b]\n"""\ncahce = true', 6),
        ("[tasks.'//#lint']\ncommand = 'x'\ncache = 1", 3),
        ("[[verify.endpoint]]\nservice = 'a'\n[[verify.endpoint]]\nservice = 'b'\nport = 'c'", 5),
        ("[[verify.endpoint]]\nservice = 'a'\n[[verify.endpoint]]\nport = 1", 3),
        ("[verify.persistence]\nwrite = {endpoint = 'a', path = '/', status = -1}", 2),
        ("[verify]\nbudgets.cold_start = 'soon'", 2),
        ("verify.tests = 1", 1),
    ],
)
def test_a_wrong_file_names_the_line(tmp_path: Path, text: str, line: int) -> None:
    file = write(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        load_config(tmp_path, {})
    assert caught.value.message.startswith(f"{file}:{line}: ")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (
            "wait_timeuot = 1",
            "Did you mean 'wait_timeout'? "
            "Known here: cache, ci, commands, compose, confirm, keys, kubernetes, load, logs, manifests, mask, "
            "read_only, scan, tasks, terminal, verify, wait_timeout.",
        ),
        ("[kubernetes]\nzone = 1", "Known here: allow, context, minikube, namespace."),
        ("[manifests.probes.livenes]", "Did you mean 'liveness'? Known here: liveness, readiness, startup."),
        ("[manifests.autoscaling]\ndisk = 1", "Known here: cpu, memory."),
        ("[[verify.endpiont]]\nservice = 'x'", "Did you mean 'endpoint'? Known here: budgets, endpoint,"),
    ],
)
def test_a_typo_gets_the_near_match_and_the_keys_there_are(tmp_path: Path, text: str, hint: str) -> None:
    write(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        load_config(tmp_path, {})
    assert caught.value.hint.startswith(hint)


@pytest.mark.parametrize("text", ["tests = ''\npath = ''", "port = 0", ""])
def test_an_empty_string_is_a_key_that_is_left_out(tmp_path: Path, text: str) -> None:
    write(tmp_path, f"[load]\n{text}\n[compose]\nproject_directory = ''")
    config = load_config(tmp_path, {})
    assert config.load == Config().load
    assert config.compose == Config().compose


def test_a_project_directory_is_below_the_folder_of_the_file(tmp_path: Path) -> None:
    write(tmp_path, "[compose]\nproject_directory = '.'")
    assert load_config(tmp_path, {}).compose.project_directory == tmp_path


@pytest.mark.parametrize("name", ["manifests", "verify", "load", "scan"])
def test_a_table_that_is_read_only_where_it_is_given_is_known_all_the_same(tmp_path: Path, name: str) -> None:
    write(tmp_path, f"[{name}x]")
    with pytest.raises(UsageError) as caught:
        load_config(tmp_path, {})
    assert caught.value.hint.startswith(f"Did you mean {name!r}?")
    write(tmp_path, f"[{name}]")
    assert getattr(load_config(tmp_path, {}), name) == getattr(Config(), name)
    write(tmp_path, f"{name} = 1")
    with pytest.raises(UsageError, match=f"{name} must be a table"):
        load_config(tmp_path, {})


@pytest.mark.parametrize(
    "environ", [{"DEVENV_READ_ONLY": "maybe"}, {"DEVENV_WAIT_TIMEOUT": "soon"}, {"DEVENV_WAIT_TIMEOUT": "nan"}]
)
def test_a_wrong_variable_names_itself(tmp_path: Path, environ: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=next(iter(environ))):
        load_config(tmp_path, environ)


def test_a_named_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load_config(tmp_path, {}, file=Path("absent.toml"))
    with pytest.raises(UsageError, match="cannot be read"):
        load_config(tmp_path, {"DEVENV_CONFIG": "absent.toml"})


def test_bytes_that_are_not_text_are_told(tmp_path: Path) -> None:
    (tmp_path / "devenv.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="cannot be read"):
        load_config(tmp_path, {})


def test_a_current_folder_that_was_deleted_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    assert current_folder() == gone
    gone.rmdir()
    with pytest.raises(ProjectError, match="current folder"):
        current_folder()
    with pytest.raises(ProjectError, match="current folder"):
        current_folder([str(tmp_path / "compose.yaml"), "relative.yaml"])
    assert current_folder([str(tmp_path / "compose.yaml")]) == tmp_path


def test_tables_in_tables_without_end_are_told(tmp_path: Path) -> None:
    (tmp_path / "devenv.toml").write_text("a = " + "[" * 100_000)
    with pytest.raises(UsageError, match=r"devenv\.toml: cannot be read: .*recursion"):
        load_config(tmp_path, {})
