"""A project whose files change while somebody looks at it; Compose is played by a script that counts its calls."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from fakedocker import fake_docker

from devenv.backends.compose import ComposeOptions, ProjectScope, find_project
from devenv.cli.context import Context
from devenv.cli.options import merge_options
from devenv.cli.parser import build_parser
from devenv.core.errors import ProjectError
from devenv.core.model import Project

# A file of these tests holds Compose's answer: its canonical form, or the reason why it refuses.
SCRIPT = """
echo "$*" >>{log}
file=compose.yaml; [ -e $file ] || file=../compose.yaml
case "$(cat $file)" in {{*) cat $file;; *) cat $file >&2; exit 1;; esac
"""
ONE = '{"name": "shop", "services": {"web": {}}}'
TWO = '{"name": "shop", "services": {"web": {}, "other": {}}}'


class Shop:
    """A project in a folder of its own, read with `find` as the program does."""

    def __init__(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "outer" / "shop"
        self.folder.mkdir(parents=True)
        self.file = self.folder / "compose.yaml"
        self.file.write_text(ONE)
        self.log = tmp_path / "calls"
        environ = fake_docker(tmp_path, SCRIPT.format(log=self.log))
        self.scope = ProjectScope(
            self.find(), environ=environ, find=self.find, instead=lambda error: Project("never", "", (), ())
        )
        self.scope()

    def find(self) -> ComposeOptions:
        return find_project(self.folder, ComposeOptions(), {})

    def look(self) -> Project | None:
        """Do what the backend does twice a second, until a change would have been seen."""
        for _ in range(3):
            if self.scope.changed():
                return self.scope()
        return None

    @property
    def calls(self) -> int:
        return len(self.log.read_text().splitlines())


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def names(project: Project | None) -> list[str]:
    return [service.name for service in project.services] if project else []


def test_compose_is_asked_once_a_change_and_never_in_between(shop: Shop) -> None:
    assert [shop.look() for _ in range(10)] == [None] * 10
    assert shop.calls == 1
    shop.file.write_text(TWO)
    assert names(shop.look()) == ["other", "web"]
    assert shop.look() is None
    assert shop.calls == 2


@pytest.mark.parametrize(
    ("said", "problem"),
    [("yaml: line 6: did not find expected key", "line 6: did not find expected key"), ("strange", "strange")],
)
def test_an_invalid_file_leaves_what_was_read_with_the_reason(shop: Shop, said: str, problem: str) -> None:
    shop.file.write_text(said)
    kept = shop.look()
    assert names(kept) == ["web"]
    assert kept is not None
    assert problem in kept.problem
    assert "shown as it was read before" in kept.hint
    assert shop.scope.latest is kept
    again = shop.scope()  # as after a break of the engine's connection
    assert again == kept
    shop.file.write_text(TWO)
    healed = shop.look()
    assert names(healed) == ["other", "web"]
    assert healed is not None
    assert (healed.problem, healed.hint, healed.by_labels) == ("", "", False)


def test_without_its_files_a_project_is_called_by_its_name_alone(shop: Shop) -> None:
    shop.file.unlink()
    kept = shop.look()
    assert kept is not None
    assert kept.problem == f"The Compose file {shop.file} is gone"
    command = shop.scope.options.for_project(kept).command("stop", "web")
    assert command == ["docker", "compose", "--project-name", "shop", "stop", "web"]
    shop.file.write_text(ONE)
    assert shop.look() == Project("shop", str(shop.folder), (str(shop.file),), kept.services)


def test_a_folder_that_was_moved_away_is_told_until_it_is_back(shop: Shop) -> None:
    away = shop.folder.parent / "moved"
    shop.folder.rename(away)
    kept = shop.look()
    assert kept is not None
    assert kept.problem == f"The folder {shop.folder} is gone"
    assert names(kept) == ["web"]
    away.rename(shop.folder)
    back = shop.look()
    assert back is not None
    assert back.problem == ""


def test_another_project_above_does_not_take_the_place_of_one_whose_file_is_gone(shop: Shop) -> None:
    above = shop.folder.parent / "compose.yaml"
    above.write_text('{"name": "outer", "services": {}}')
    shop.file.unlink()
    kept = shop.look()
    assert kept is not None
    assert (kept.name, kept.problem) == ("shop", f"The Compose file {shop.file} is gone")
    assert shop.scope.options.default_files == (str(shop.file),)
    shop.file.write_text(ONE)
    assert names(shop.look()) == ["web"]


def test_a_file_that_moved_is_followed_where_it_is_the_same_project(shop: Shop) -> None:
    shop.file.rename(shop.folder.parent / "compose.yaml")
    moved = shop.look()
    assert moved is not None
    assert (moved.name, moved.problem, moved.directory) == ("shop", "", str(shop.folder.parent))
    assert shop.scope.options.default_files == moved.files


def test_another_name_for_the_file_or_the_project_is_followed(shop: Shop) -> None:
    shop.file.write_text(ONE.replace("shop", "store"))
    renamed = shop.look()
    assert renamed is not None
    assert (renamed.name, renamed.problem) == ("store", "")
    (shop.folder / "compose.override.yml").touch()
    assert shop.look() is not None
    assert len(shop.scope.options.default_files) == 2


def test_inactive_services_stay_known_while_the_file_is_invalid(shop: Shop) -> None:
    shop.file.write_text(TWO)
    assert shop.scope.inactive() == {"other"}
    shop.file.write_text("broken")
    assert shop.scope.inactive() == {"other"}


def test_before_it_was_ever_read_the_error_is_raised_or_somebody_else_is_asked(tmp_path: Path) -> None:
    environ = fake_docker(tmp_path, "echo strange >&2; exit 1")
    options = ComposeOptions(str(tmp_path))
    with pytest.raises(ProjectError, match="strange"):
        ProjectScope(options, environ=environ)()
    assert ProjectScope(options, environ=environ, instead=lambda error: Project("p", "", (), ()))().name == "p"


def test_leaving_ends_a_compose_that_still_reads(tmp_path: Path) -> None:
    environ = fake_docker(tmp_path, f"touch {tmp_path}/begun; exec sleep 60")
    scope = ProjectScope(ComposeOptions(str(tmp_path)), environ=environ)
    ended: list[ProjectError] = []

    def read() -> None:
        try:
            scope()
        except ProjectError as error:
            ended.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    while not (tmp_path / "begun").exists():
        thread.join(0.01)
    scope.close()
    thread.join(10)
    assert len(ended) == 1


def test_the_folder_of_the_start_and_devenv_toml_are_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, moved = tmp_path / "here", tmp_path / "moved"
    folder.mkdir()
    for name in ("compose.yaml", "other.yaml"):
        (folder / name).write_text("services: {}")
    monkeypatch.chdir(folder)
    monkeypatch.delenv("COMPOSE_FILE", raising=False)
    context = Context(merge_options(build_parser().parse_args(["tui"])))
    assert context.find_again() == context.options
    (folder / "devenv.toml").write_text('[compose]\nfiles = ["other.yaml"]\nprofiles = ["dev"]\n')
    again = context.find_again()
    assert (again.files, again.profiles) == ((str(folder / "other.yaml"),), ("dev",))
    folder.rename(moved)  # the process is in there, and goes along
    with pytest.raises(ProjectError, match=f"No Compose file found in {folder}"):
        context.find_again()
