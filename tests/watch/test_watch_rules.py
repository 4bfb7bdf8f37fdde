"""What a project asks for, what is ignored, and what a user is told where nothing can be watched."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from devenv.core.errors import ProjectError
from devenv.watch.rules import ServiceRules, dockerignore, read_rules
from tests import forked
from tests.unit.fakedocker import fake_docker

ROOT = Path(__file__).parents[2]
DOCSEARCH = ROOT / "compose"


def rules_of(folder: Path, *entries: dict[str, Any], **body: Any) -> ServiceRules:
    watch = [{"path": str(folder / entry.pop("path", "src")), "target": "/app", **entry} for entry in entries]
    build = {"context": str(folder), "dockerfile": "Dockerfile"}
    (found,), _ = read_rules({"services": {"web": {"build": build, "develop": {"watch": watch}, **body}}})
    return found


def test_the_ignore_file_of_the_dockerfile_goes_before_the_general_one(tmp_path: Path) -> None:
    assert not dockerignore(tmp_path, "Dockerfile").ignores("general/x")
    (tmp_path / ".dockerignore").write_text("general\n")
    assert dockerignore(tmp_path, "Dockerfile").ignores("general/x")
    (tmp_path / "Dockerfile.dockerignore").write_text("own\n")
    assert dockerignore(tmp_path, "Dockerfile").ignores("own")
    assert not dockerignore(tmp_path, "Dockerfile").ignores("general/x")


def test_which_paths_belong_to_a_rule(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "Dockerfile").touch()
    (tmp_path / ".dockerignore").write_text("*\n!src\nsrc/build\nsrc/out\n!src/out/kept\n")
    found = rules_of(
        tmp_path,
        {"action": "sync", "ignore": ["private/"]},
        {"action": "sync", "include": ["**/*.css"], "target": "/css"},
        {"action": "rebuild", "path": "Dockerfile"},
    )
    everything, styles, dockerfile = found.rules
    src = tmp_path / "src"
    cases = {
        "a.py": True,
        "deep/a.py": True,
        "private/a.py": False,
        "build/a.o": False,
        ".git/index": False,
        "x~": False,
    }
    assert {name: found.matches(everything, str(src / name)) for name in cases} == cases
    assert not found.matches(everything, str(tmp_path / "srcs" / "a.py"))
    assert found.matches(styles, str(src / "deep" / "a.css"))
    assert not found.matches(styles, str(src / "a.py"))
    # The build ignores the Dockerfile, but a rule names it.
    assert found.matches(dockerfile, str(tmp_path / "Dockerfile"))
    assert everything.target_of(str(src / "deep" / "a.py")) == "/app/deep/a.py"
    assert styles.target_of(str(src)) == "/css"
    assert found.skips(str(src / ".git"))
    assert found.skips(str(tmp_path / "other"))
    assert found.skips(str(src / "build"))
    assert not found.skips(str(src / "out")), "a pattern with ! takes something in it back"
    assert found.matches(everything, str(src / "out" / "kept"))
    assert not found.matches(everything, str(src / "out" / "x"))
    assert not found.skips(str(tmp_path))


def test_ignored_folders_are_neither_watched_nor_listed(tmp_path: Path) -> None:
    (tmp_path / "src" / "node_modules" / "x").mkdir(parents=True)
    (tmp_path / "src" / "node_modules" / "x" / "index.js").touch()
    (tmp_path / "src" / "a.js").touch()
    found = rules_of(tmp_path, {"action": "sync", "ignore": ["node_modules/"]})
    assert found.skips(str(tmp_path / "src" / "node_modules"))
    assert list(found.files(found.rules[0], str(tmp_path / "src"))) == [
        *(str(tmp_path / "src"), str(tmp_path / "src" / "a.js")),
    ]


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"path": "missing", "action": "sync"}, "missing is not there"),
        ({"action": "sync", "target": ""}, "has no absolute `target`"),
        ({"action": "sync", "target": "app"}, "has no absolute `target`"),
        ({"action": "sync+exec"}, "has no exec.command"),
        ({"action": "explode"}, "does not know the action 'explode'"),
        ({"action": "sync", "ignore": ["[a"]}, "'[a' is not valid"),
    ],
)
def test_a_wrong_rule_says_what_is_wrong(tmp_path: Path, entry: dict[str, Any], told: str) -> None:
    (tmp_path / "src").mkdir()
    with pytest.raises(ProjectError) as raised:
        rules_of(tmp_path, entry)
    assert told in raised.value.message


def test_what_is_mounted_needs_no_sync(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    mount = {"type": "bind", "source": str(tmp_path), "target": "/app"}
    with pytest.raises(ProjectError) as raised:
        rules_of(tmp_path, {"action": "sync", "target": "/app/src"}, volumes=[mount])
    assert "is mounted at /app, so that sync is not needed" in raised.value.message
    watch = [{"path": str(tmp_path / "src"), "action": action, "target": "/app"} for action in ("sync", "restart")]
    (found,), remarks = read_rules({"services": {"web": {"develop": {"watch": watch}, "volumes": [mount]}}})
    assert [rule.action for rule in found.rules] == ["restart"]
    assert len(remarks) == 1


def devenv(folder: Path, document: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it where Compose is played."""
    (folder / "compose.yaml").touch()
    script = f"""case "$*" in *config*) cat <<'END'\n{document}\nEND\nexit;; esac; exit 1"""
    environ = fake_docker(folder, script) | {"PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(folder / "state")}
    environ |= {"DOCKER_HOST": f"unix://{folder}/none.sock"}
    return forked.run("devenv", "watch", *arguments, cwd=folder, env=environ)


WATCHED = """{"name": "p", "services": {"web": {"develop": {"watch": [
  {"path": "%s", "action": "sync", "target": "/app"}]}}, "plain": {}}}"""


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ((), 3, "there is no such socket"),
        (("plain",), 5, "Service plain has no develop.watch"),
        (("wbe",), 2, "Did you mean web?"),
        (("--read-only",), 10, "read-only mode"),
        (("--probe", "localhost:80"), 2, "is not an address"),
        (("--probe", "wbe=http://localhost"), 2, "Did you mean web?"),
        (("--up", "--wait"), 2, "not allowed with"),
    ],
)
def test_bad_input_ends_with_a_documented_code(
    tmp_path: Path, arguments: tuple[str, ...], code: int, told: str
) -> None:
    done = devenv(tmp_path, WATCHED % tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert told in done.stderr


def test_docsearch_can_be_developed_by_sync_instead_of_mounts() -> None:
    files = [word for name in ("compose.yaml", "compose.sync.yaml") for word in ("-f", str(DOCSEARCH / name))]
    command = ["docker", "compose", *files, "config", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    rules, remarks = read_rules(json.loads(done.stdout))
    assert remarks == [], "nothing is mounted that is synced"
    for item, package in zip(rules, ("docindexer", "docfront"), strict=True):
        targets = {rule.target: str(rule.action) for rule in item.rules if rule.action.syncs}
        assert targets == {f"/app/{package}": "sync", "/app/docshared": "sync+restart"}


def test_a_project_without_the_section_is_told_what_to_write(tmp_path: Path) -> None:
    done = devenv(tmp_path, '{"name": "p", "services": {"web": {}}}')
    assert done.returncode == 5
    assert "there is nothing to watch" in done.stderr
    assert "{action: sync, path: ./src, target: /app/src}" in done.stderr
    done = devenv(tmp_path, WATCHED % (tmp_path / "nowhere"))
    assert done.returncode == 5
    assert f"the path {tmp_path / 'nowhere'} is not there" in done.stderr
