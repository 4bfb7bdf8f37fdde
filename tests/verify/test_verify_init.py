"""`devenv init`: what it writes, that it keeps what is there, and that the tests pass on a real engine."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from unlike import ROOT

from devenv.core.settings import load_config
from tests import forked

SERVER = '[python3, -m, http.server, "8000", --bind, 0.0.0.0]'
PUBLISHED = f"""
services:
  web:
    image: ${{BASE}}
    init: true
    command: {SERVER}
    ports: ["127.0.0.1::8000", "127.0.0.1::5432"]
    healthcheck:
      test: [CMD, python3, -c, "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/etc/')"]
      interval: 1s
  once: {{image: "${{BASE}}", command: ["true"]}}
  none: {{image: "${{BASE}}", command: ["false"], scale: 0}}
"""
UNPUBLISHED = """
services:
  worker: {image: "${BASE}", init: true, command: [sleep, "600"]}
  once: {image: "${BASE}", command: ["true"]}
"""


def project(folder: Path, compose: str, base_image: str, name: str = "compose.yaml") -> Path:
    folder.mkdir(parents=True)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(compose)
    (folder / ".env").write_text(f"BASE={base_image}\n")
    return folder


def devenv(folder: Path, *words: str, code: int = 0) -> str:
    done = forked.run("devenv", *words, cwd=folder, timeout=300)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def written(output: str) -> list[tuple[str, str]]:
    return [(word, Path(path).name) for word, path in map(str.split, output.splitlines()[:3])]


@pytest.mark.engine
@pytest.mark.parametrize(("compose", "tests"), [(PUBLISHED, 2), (UNPUBLISHED, 3)])
def test_what_it_writes_passes_on_a_real_engine(tmp_path: Path, base_image: str, compose: str, tests: int) -> None:
    folder = project(tmp_path / "a shop", compose, base_image)
    devenv(folder, "init")
    output = devenv(folder, "verify")
    assert f"{tests} passed" in output, output
    assert re.search(r"^restart +passed", output, re.M)
    if compose == PUBLISHED:
        (endpoint,) = load_config(folder, {}).verify.endpoints
        assert (endpoint.name, endpoint.service, endpoint.port, endpoint.path) == ("web", "web", 8000, "/etc/")


@pytest.mark.engine
def test_docsearch_gets_tests_that_pass(tmp_path: Path, base_image: str) -> None:
    folder = tmp_path / "docsearch"
    folder.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", ".env")
    shutil.copytree(ROOT / "compose", folder / "compose", ignore=ignored)
    (folder / "compose" / ".env").write_text(f"PYTHON_IMAGE={base_image}\n")
    output = devenv(folder, "-f", "compose/compose.yaml", "init")
    assert written(output) == [
        ("written", "devenv.toml"),
        ("written", "conftest.py"),
        ("written", "test_docsearch.py"),
    ]
    assert 'files = ["compose/compose.yaml"]' in (folder / "devenv.toml").read_text()
    found = {item.name: (item.port, item.path) for item in load_config(folder, {}).verify.endpoints}
    assert found == {"backend": (8000, "/ready"), "frontend": (3000, "/health")}
    assert "3 passed" in devenv(folder, "verify")


def test_what_exists_is_kept_until_force_is_given(tmp_path: Path, base_image: str) -> None:
    folder = project(tmp_path / "shop", UNPUBLISHED, base_image)
    own = '[verify]\ntests = "checks"\n[[verify.endpoint]]\nname = "mine"\nservice = "worker"\n'
    (folder / "devenv.toml").write_text(own)
    output = devenv(folder, "init")
    assert written(output) == [("kept", "devenv.toml"), ("written", "conftest.py"), ("written", "test_shop.py")]
    assert (folder / "devenv.toml").read_text() == own
    assert 'parametrize("name", ["mine"])' in (folder / "checks" / "test_shop.py").read_text()
    assert "--force replaces them" in devenv(folder, "init", code=10)
    (folder / "checks" / "test_shop.py").write_text("# mine\n")
    devenv(folder, "init", code=10)
    assert (folder / "checks" / "test_shop.py").read_text() == "# mine\n"
    devenv(folder, "init", "--force")
    assert 'parametrize("service", ["once", "worker"])' in (folder / "checks" / "test_shop.py").read_text()
    assert (folder / "devenv.toml").read_text() != own
    assert load_config(folder, {}).verify.tests == "checks"


def test_it_is_refused_where_there_is_nothing_or_nothing_may_be_changed(tmp_path: Path, base_image: str) -> None:
    (tmp_path / "empty").mkdir()
    assert "No Compose file found" in devenv(tmp_path / "empty", "init", code=5)
    folder = project(tmp_path / "shop", UNPUBLISHED, base_image)
    devenv(folder, "--read-only", "init", code=10)
    assert sorted(path.name for path in folder.iterdir()) == [".env", "compose.yaml"]


@pytest.mark.parametrize(
    ("where", "words", "root"),
    [
        ("shop/deep", (), "shop"),  # found upward
        ("shop", ("-f", "deploy/stack.yaml"), "shop"),
        ("shop/deploy", ("-f", "stack.yaml"), "shop/deploy"),
    ],
)
def test_the_root_is_where_devenv_will_be_called(
    tmp_path: Path, base_image: str, where: str, words: tuple[str, ...], root: str
) -> None:
    folder = project(tmp_path / "shop", UNPUBLISHED, base_image)
    (folder / "deep").mkdir()
    (folder / "deploy").mkdir()
    (folder / "deploy" / "stack.yaml").write_text(UNPUBLISHED.replace("${BASE}", base_image))
    devenv(tmp_path / where, *words, "init")
    text = (tmp_path / root / "devenv.toml").read_text()
    assert ("stack.yaml" in text) == bool(words), text
    if words:
        assert load_config(tmp_path / root, {}).compose.files == (folder / "deploy" / "stack.yaml",)
