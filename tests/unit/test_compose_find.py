"""Which project a user means, from any folder of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from devenv.backends.compose import ComposeOptions, find_project
from devenv.backends.plugin import started_directly
from devenv.core.errors import ProjectError, UsageError
from devenv.core.settings import ComposeSettings, Config

NOTHING = ComposeOptions()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """root/{compose.yaml, deep/er/}."""
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "compose.yaml").write_text("services: {}\n")
    return tmp_path


def settings(root: Path, **values: object) -> Config:
    return Config(root=root, compose=ComposeSettings(**values))  # type: ignore[arg-type]  # the tests give right types


def test_compose_is_started_where_the_user_is_and_finds_the_file_itself(tree: Path) -> None:
    found = find_project(tree / "deep" / "er", NOTHING, {})
    assert found.directory == str(tree / "deep" / "er")
    assert found.files == ()
    assert found.default_files == (str(tree / "compose.yaml"),)
    assert found.command("up", "-d") == ["docker", "compose", "up", "-d"]


@pytest.mark.parametrize("name", ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"])
def test_every_name_of_compose_is_known_and_the_override_belongs_to_it(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    (tmp_path / "compose.override.yml").touch()
    found = find_project(tmp_path, NOTHING, {}).default_files
    assert found == (str(tmp_path / name), str(tmp_path / "compose.override.yml"))


def test_nothing_found_says_where_it_was_searched(tmp_path: Path) -> None:
    with pytest.raises(ProjectError) as caught:
        find_project(tmp_path, NOTHING, {})
    assert str(tmp_path) in caught.value.message
    assert "compose.yaml" in caught.value.hint
    assert "devenv.toml" in caught.value.hint


def test_named_files_become_absolute_and_must_exist(tree: Path) -> None:
    given = ComposeOptions(files=("../compose.yaml",), project_directory="..", profiles=("a",), project_name="p")
    found = find_project(tree / "deep", given, {})
    assert [Path(file).resolve() for file in found.files] == [tree / "compose.yaml"]
    command = found.command("ps")
    assert command[:3] == ["docker", "compose", "--file"]
    assert command[4:8] == ["--profile", "a", "--project-name", "p"]
    with pytest.raises(ProjectError, match=r"nope\.yaml does not exist"):
        find_project(tree, ComposeOptions(files=("nope.yaml",)), {})
    with pytest.raises(ProjectError, match=r"Environment file .*nope\.env does not exist"):
        find_project(tree, ComposeOptions(env_files=("nope.env",)), {})
    with pytest.raises(UsageError, match="-f - is not possible"):
        find_project(tree, ComposeOptions(files=("-",)), {})


def test_compose_file_of_the_environment_is_left_to_compose(tmp_path: Path) -> None:
    found = find_project(tmp_path, NOTHING, {"COMPOSE_FILE": "a.yaml:b.yaml"})
    assert found.files == ()
    assert found.directory == str(tmp_path)
    assert found.default_files == ()
    files = tuple(str(tmp_path / name) for name in ("a.yaml", "b.yaml"))
    for file in files:
        Path(file).touch()
    assert find_project(tmp_path, NOTHING, {"COMPOSE_FILE": "a.yaml:b.yaml"}).default_files == files
    assert (
        find_project(tmp_path, NOTHING, {"COMPOSE_FILE": "a.yaml;b.yaml", "COMPOSE_PATH_SEPARATOR": ";"}).default_files
        == files
    )


def test_compose_file_in_a_parents_env_file_starts_compose_there(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / ".env").write_text("A=1\nexport COMPOSE_FILE=one.yaml:two.yaml\n")
    (tmp_path / "compose.yaml").touch()
    found = find_project(tmp_path / "sub", NOTHING, {})
    assert (found.directory, found.default_files) == (str(tmp_path), ()), "one.yaml and two.yaml, not compose.yaml"


def test_an_env_file_that_was_chosen_may_name_other_files(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").touch()
    (tmp_path / "dev.env").write_text("COMPOSE_FILE=one.yaml\n")
    (tmp_path / "plain.env").write_text("A=1\n")
    assert find_project(tmp_path, ComposeOptions(env_files=("dev.env",)), {}).default_files == ()
    assert find_project(tmp_path, ComposeOptions(env_files=("plain.env",)), {}).default_files == (
        str(tmp_path / "compose.yaml"),
    )


def test_an_env_file_without_compose_file_is_no_project(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("# COMPOSE_FILE=one.yaml\nMY_COMPOSE_FILE=x\n")
    with pytest.raises(ProjectError):
        find_project(tmp_path, NOTHING, {})


def test_devenv_toml_names_the_files_for_every_folder_below(tmp_path: Path) -> None:
    (tmp_path / "stack").mkdir()
    (tmp_path / "src").mkdir()
    file = tmp_path / "stack" / "compose.yaml"
    file.touch()
    config = settings(tmp_path, files=(file,), project_name="shop", profiles=("dev",))
    found = find_project(tmp_path / "src", NOTHING, {}, config)
    assert (found.files, found.project_name, found.profiles) == ((str(file),), "shop", ("dev",))
    over = find_project(tmp_path / "src", NOTHING, {"COMPOSE_PROJECT_NAME": "x", "COMPOSE_PROFILES": ""}, config)
    assert (over.project_name, over.profiles) == ("", ())


def test_a_nearer_compose_file_wins_over_devenv_toml_and_its_settings(tree: Path) -> None:
    (tree / "deep" / "compose.yml").touch()
    config = settings(tree, files=(tree / "compose.yaml",), project_name="shop")
    found = find_project(tree / "deep" / "er", NOTHING, {}, config)
    assert found.default_files == (str(tree / "deep" / "compose.yml"),)
    assert found.project_name == ""
    chosen = find_project(tree / "deep" / "er", NOTHING, {}, config, config_is_chosen=True)
    assert chosen.files == (str(tree / "compose.yaml"),)


def test_settings_hold_for_the_files_of_devenv_toml_also_when_named(tree: Path) -> None:
    config = settings(tree, files=(tree / "compose.yaml",), project_name="shop")
    same = find_project(tree, ComposeOptions(files=("./deep/../compose.yaml",)), {}, config)
    assert same.project_name == "shop"
    (tree / "other.yaml").touch()
    assert find_project(tree, ComposeOptions(files=("other.yaml",)), {}, config).project_name == ""


def test_settings_without_files_hold_for_the_compose_file_beside_devenv_toml(tree: Path) -> None:
    config = settings(tree, profiles=("dev",))
    assert find_project(tree / "deep", NOTHING, {}, config).profiles == ("dev",)


def test_a_file_that_devenv_toml_names_must_exist(tmp_path: Path) -> None:
    config = settings(tmp_path, files=(tmp_path / "gone.yaml",))
    with pytest.raises(ProjectError, match=r"gone\.yaml, named in devenv\.toml"):
        find_project(tmp_path, NOTHING, {}, config)


@pytest.fixture
def docker(tmp_path: Path) -> dict[str, str]:
    """An environment with a `docker` that is a program, and a Compose plugin of the user's own."""
    for folder in ("bin", "home/.docker/cli-plugins"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(str(shutil.which("true")), tmp_path / "bin/docker")
    plugin = tmp_path / "home/.docker/cli-plugins/docker-compose"
    plugin.write_text("#!/bin/sh\n")
    plugin.chmod(0o755)
    return {"PATH": f"{tmp_path}/nothing:{tmp_path}/bin", "HOME": str(tmp_path / "home")}


CALL = ["docker", "compose", "--file", "x", "config"]


def test_compose_is_started_without_docker_between(docker: dict[str, str], tmp_path: Path) -> None:
    plugin = tmp_path / "home/.docker/cli-plugins/docker-compose"
    assert started_directly(CALL, docker) == [str(plugin), "--file", "x", "config"]
    other = tmp_path / "extra/docker-compose"
    other.parent.mkdir()
    shutil.copy(plugin, other)
    config = tmp_path / "home/.docker/config.json"
    config.write_text(json.dumps({"cliPluginsExtraDirs": [str(other.parent)]}))
    assert started_directly(CALL, docker)[0] == str(other), "docker looks there first"
    config.write_text("{broken")
    assert started_directly(CALL, docker)[0] == str(plugin), "docker goes on with its defaults"


@pytest.mark.parametrize("case", ["script", "other program", "plugin cannot run", "no docker"])
def test_docker_is_called_where_it_may_do_something_else(docker: dict[str, str], tmp_path: Path, case: str) -> None:
    program = tmp_path / "bin/docker"
    if case == "script":
        program.write_text("#!/bin/sh\nDOCKER_HOST=tcp://elsewhere exec podman $@\n")
    elif case == "other program":
        program.rename(tmp_path / "bin/podman")
        program.symlink_to(tmp_path / "bin/podman")
    elif case == "plugin cannot run":
        (tmp_path / "home/.docker/cli-plugins/docker-compose").chmod(0o644)
    elif case == "no docker":
        program.unlink()
    assert started_directly(CALL, docker) == CALL
