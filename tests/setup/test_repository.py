"""What the checkout must not hold: names of package registries, folders of one machine, locks without hashes."""

from __future__ import annotations

import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
# In two parts, so that this file does not hold them itself.
REGISTRIES = [
    "".join(parts)
    for parts in (
        ("pypi", ".org"),
        ("python", "hosted.org"),
        ("deb.", "debian.org"),
        ("security.", "debian.org"),
        ("snapshot.", "debian.org"),
        ("registry.", "npmjs"),
        ("registry-1.", "docker"),
        ("archive.", "ubuntu.com"),
    )
]
# A plain search first: the pattern alone takes ten times as long.
MACHINE_FOLDERS = {f"/{name}/": re.compile(rf"(?<![\w./-])/{name}/[a-z]") for name in ("work", "ro" + "ot")}


@cache
def texts() -> dict[str, str]:
    """Return every file that git has or would take, by its name in the checkout."""
    listed = subprocess.run(
        ["git", "-C", ROOT, "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=False,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    files = [name for name in listed if name and (ROOT / name).is_file()]
    return {name: (ROOT / name).read_text(encoding="utf-8", errors="replace") for name in files}


def test_the_checkout_is_seen() -> None:
    assert {"Makefile", "pyproject.toml", "scripts/engine"} <= texts().keys()


def test_no_package_registry_is_named() -> None:
    assert [(name, host) for name, text in texts().items() for host in REGISTRIES if host in text] == []


def test_no_folder_of_one_machine_is_named() -> None:
    assert [
        (name, found[0])
        for name, text in texts().items()
        for folder, pattern in MACHINE_FOLDERS.items()
        if folder in text and (found := pattern.search(text))
    ] == []


@pytest.mark.parametrize("lock", [str(path.relative_to(ROOT)) for path in ROOT.glob("compose/*/requirements.lock")])
def test_the_services_are_locked_with_hashes(lock: str) -> None:
    pins = re.findall(r"^\S+==\S+.*$", (ROOT / lock).read_text(encoding="utf-8"), re.MULTILINE)
    assert pins
    assert all(pin.endswith("\\") for pin in pins)


def test_the_lock_has_every_dependency_that_pyproject_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(each for group in project["optional-dependencies"].values() for each in group),
    ]
    names = {re.split(r"[\[<>=!~ ;]", each)[0].lower().replace("_", "-") for each in wanted} - {"devenv"}
    locked = set(
        re.findall(r"^([a-z0-9.-]+)==", (ROOT / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert names <= locked


def test_the_workflow_calls_the_projects_own_commands_with_a_limit_and_few_rights() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    assert workflow["permissions"] == {}
    commands = []
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 15
        commands += [step["run"] for step in job["steps"] if "run" in step]
    assert commands == ["make check", ".ci/run"]
