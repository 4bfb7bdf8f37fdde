from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from _machine import Programs

from devenv.core.errors import DevenvError, ToolMissing, UsageError
from scripts.machine.venv import STAMP, ensure_venv, wanted_stamp

ROOT = Path(__file__).resolve().parents[2]


class Project:
    """A project whose base Python and virtual environment are scripts that write down what they were told."""

    def __init__(self, root: Path, programs: Programs) -> None:
        self.root, self.folder, self._programs = root, root / ".venv", programs
        self.python = self.folder / "bin" / "python"
        root.mkdir()
        (root / "pyproject.toml").write_text('[project]\nname = "x"\n[tool.hatch]\n', encoding="utf-8")
        self.lock("one==1")

    def lock(self, *pins: str) -> None:
        (self.root / "requirements.lock").write_text("".join(f"{pin} \\\n" for pin in pins), encoding="utf-8")

    def base_python(self, *, ensurepip: bool = True, installs: str = "exit 0", installed: str = "[]") -> str:
        inner = self._programs.add(
            "venv-python",
            f"""case "$*" in
*"pip list"*) echo '{installed}' ;;
*"pip install"*) {installs} ;;
esac""",
        )
        return str(
            self._programs.add(
                "base-python",
                f"""case "$*" in
*"import ensurepip"*) {"exit 0" if ensurepip else "exit 1"} ;;
"-m venv --clear "*)
    /bin/rm -rf "{self.folder}"; /bin/mkdir -p "{self.folder}/bin"; /bin/ln -s "{inner}" "{self.python}" ;;
esac""",
            )
        )

    def ensure(self) -> None:
        ensure_venv(self.root)

    def stamp(self) -> object:
        file = self.folder / STAMP
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None

    def installs(self) -> list[str]:
        return [call for call in self._programs.calls("venv-python") if "pip install" in call]

    def makings(self) -> int:
        return len(self._programs.calls("base-python -m venv"))


@pytest.fixture
def project(programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    project = Project(tmp_path / "project", programs)
    monkeypatch.setattr(sys, "executable", project.base_python())
    return project


def test_a_new_environment_gets_the_lock_by_hash_then_the_project(project: Project) -> None:
    project.ensure()
    locked, itself = project.installs()
    assert "--require-hashes" in locked
    assert locked.endswith(f"-r {project.root}/requirements.lock")
    assert "--no-deps --no-build-isolation" in itself
    assert itself.endswith(f"-e {project.root}")
    assert project.stamp() == wanted_stamp(project.root)


def test_nothing_is_done_when_nothing_changed(project: Project) -> None:
    project.ensure()
    project.ensure()
    assert len(project.installs()) == 2
    assert project.makings() == 1


def test_another_lock_is_installed_into_the_same_environment(project: Project) -> None:
    project.ensure()
    project.lock("one==2")
    project.ensure()
    assert len(project.installs()) == 4
    assert project.makings() == 1


def test_a_change_of_the_project_alone_installs_the_project_alone(project: Project) -> None:
    project.ensure()
    (project.root / "pyproject.toml").write_text('[project]\nname = "y"\n[tool.hatch]\n', encoding="utf-8")
    project.ensure()
    assert [" -e " in call for call in project.installs()] == [False, True, True]


def test_settings_of_other_tools_in_pyproject_do_not_count(project: Project) -> None:
    before = wanted_stamp(project.root)
    with (project.root / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write("[tool.ruff]\nline-length = 100\n")
    assert wanted_stamp(project.root) == before


def test_a_package_that_left_the_lock_is_removed_and_tools_stay(
    project: Project, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = json.dumps([{"name": name} for name in ("One", "left_over", "pip", "devenv")])
    monkeypatch.setattr(sys, "executable", project.base_python(installed=installed))
    project.ensure()
    assert [call for call in programs.calls() if "uninstall" in call] == [
        "venv-python -m pip uninstall -y left-over",
    ]


def test_an_install_that_was_cut_short_starts_anew(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", project.base_python(installs="kill -9 $$"))
    with pytest.raises(DevenvError, match="installing the locked packages"):
        project.ensure()
    assert project.stamp() is None
    half = project.folder / "lib" / "half-a-package"
    half.mkdir(parents=True)

    monkeypatch.setattr(sys, "executable", project.base_python())
    project.ensure()
    assert not half.exists()
    assert project.makings() == 2
    assert project.stamp() == wanted_stamp(project.root)


def test_an_environment_that_was_moved_is_made_again(project: Project) -> None:
    project.ensure()
    stamp = {**wanted_stamp(project.root), "root": "/somewhere/else"}
    (project.folder / STAMP).write_text(json.dumps(stamp), encoding="utf-8")
    project.ensure()
    assert project.makings() == 2


def test_a_link_to_another_checkouts_environment_is_refused_and_leaves_that_one_whole(project: Project) -> None:
    project.ensure()
    copy = project.root.with_name("copy")
    copy.mkdir()
    for name in ("pyproject.toml", "requirements.lock"):
        shutil.copy(project.root / name, copy / name)
    (copy / ".venv").symlink_to(project.folder)
    with pytest.raises(UsageError, match=re.escape(f"environment of {project.root}")):
        ensure_venv(copy)
    assert project.stamp() == wanted_stamp(project.root)
    assert project.makings() == 1


def test_one_whose_base_python_is_gone_is_made_again(project: Project) -> None:
    project.ensure()
    project.python.unlink()
    project.python.symlink_to("/nonexistent/python")
    project.ensure()
    assert project.makings() == 2


@pytest.mark.parametrize("stamp", [None, "{broken", "[]"])
def test_one_whose_stamp_is_missing_or_cannot_be_read_is_made_again(project: Project, stamp: str | None) -> None:
    project.ensure()
    (project.folder / STAMP).unlink()
    if stamp:
        (project.folder / STAMP).write_text(stamp, encoding="utf-8")
    project.ensure()
    assert project.makings() == 2
    assert project.stamp() == wanted_stamp(project.root)


def test_without_ensurepip_and_without_root_the_package_is_named(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", project.base_python(ensurepip=False))
    with pytest.raises(ToolMissing) as raised:
        project.ensure()
    assert f"python3.{sys.version_info.minor}-venv" in raised.value.hint
    assert not project.folder.exists()


def test_the_real_script_does_nothing_for_an_environment_that_is_ready() -> None:
    stamp = ROOT / ".venv" / STAMP
    for _ in range(2):  # what changed since the last `make setup` is installed by the first
        before = stamp.stat().st_mtime_ns
        done = subprocess.run([ROOT / "scripts" / "venv"], check=True, capture_output=True, text=True, cwd="/")
        if not done.stderr:
            break
    assert (done.stdout, done.stderr) == ("", "")
    assert stamp.stat().st_mtime_ns == before
