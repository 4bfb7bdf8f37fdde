"""`python -m benchmarks.bench_builds [--runs N]`: `devenv build` with nothing to do, beside `docker compose build`.

Both programs run in turn on a copy of docsearch of its own name and tag, each as a whole process. Below that, what a
content key costs: `up` of what is up and current, a context of 1,000 files as a whole process, and 10,000 files and 50
services in this process; and `devenv run` with nothing to do.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.figures import Figure, in_turn, print_table
from benchmarks.stack import ROOT, base_image
from devenv.builds.definition import read_definitions
from devenv.builds.key import KeyReader
from devenv.builds.plan import make_plan
from devenv.builds.store import Store
from devenv.verify.environment import build_alone

DEVENV = (sys.executable, "-m", "devenv", "build")
COMPOSE = ("docker", "compose", "build", "--quiet")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_builds")
    parser.add_argument("--runs", type=int, default=10, help="of each program")
    runs = parser.parse_args().runs
    image = base_image()
    with tempfile.TemporaryDirectory(prefix="devenv-bench-") as name:
        folder = Path(name)
        figures = [*docsearch(folder / "docsearch", image, runs), *changes(folder / "changes", image, runs)]
        figures += ups(folder / "up", image, runs)
        figures += one_large(folder / "one", image, runs)
        figures += many(folder / "many", runs)
        figures += tasks(folder / "tasks", image, runs)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print_table(figures)


def docsearch(folder: Path, image: str, runs: int) -> Iterator[Figure]:
    """Nothing to do, by both programs in turn."""
    shutil.copytree(ROOT / "compose", folder)
    # Images of their own: what Compose built has no key, and devenv would have to build it.
    with project(folder, image, "devenv") as ours, project(folder, image, "compose") as theirs:
        ours(DEVENV)
        theirs(COMPOSE)
        times = in_turn(runs, devenv=lambda: ours(DEVENV), compose=lambda: theirs(COMPOSE))
        ratio = tuple(mine / other for mine, other in zip(times["devenv"], times["compose"], strict=True))
        yield Figure("docsearch, nothing to do", "devenv build", times["devenv"], "s", "<= 0.3 s")
        yield Figure("docsearch, nothing to do", "docker compose build", times["compose"], "s")
        yield Figure("docsearch, nothing to do", "devenv / compose", ratio, "x", "<= 0.5 x")


def changes(folder: Path, image: str, runs: int) -> Iterator[Figure]:
    """A first build that nobody else's layers take part in, then a change of each package of docsearch in turn."""
    shutil.copytree(ROOT / "compose", folder)
    build_alone(folder)
    sources = {
        "frontend": folder / "frontend/docfront/__init__.py",
        "backend": folder / "backend/docindexer/__init__.py",
        "shared": folder / "shared/docshared/__init__.py",
    }

    with project(folder, image, "changes") as ours:

        def after_edit(name: str) -> float:
            sources[name].write_text(f"{sources[name].read_text('utf-8')}# {time.time_ns()}\n", "utf-8")
            return ours(DEVENV)

        yield Figure("docsearch, first build", "devenv build", (ours(DEVENV),), "s")
        edits = {name: (lambda name=name: after_edit(name)) for name in sources}
        times = in_turn(runs, nothing=lambda: ours(DEVENV), **edits)
    for name, seconds in times.items():
        yield Figure(f"docsearch, {name} changed", "devenv build", seconds, "s", "<= 5 s" if name == "nothing" else "")


def ups(folder: Path, image: str, runs: int) -> Iterator[Figure]:
    """`up` of what is up and current: by devenv, by devenv without a look at what was built, and by Compose."""
    shutil.copytree(ROOT / "compose", folder)
    up = (*DEVENV[:-1], "up")
    with project(folder, image, "up") as ours:
        try:
            ours(up)
            times = in_turn(
                runs,
                devenv=lambda: ours(up),
                no_build=lambda: ours((*up, "--no-build")),
                compose=lambda: ours(("docker", "compose", "up", "--detach")),
            )
        finally:
            ours(("docker", "compose", "down", "--volumes"))
    for name, program in (("devenv", "devenv up"), ("no_build", "devenv up --no-build"), ("compose", "compose up -d")):
        yield Figure("docsearch, up and current", program, times[name], "s")
    for name, program in (("no_build", "devenv up / up --no-build"), ("compose", "devenv / compose")):
        ratio = tuple(mine / other for mine, other in zip(times["devenv"], times[name], strict=True))
        yield Figure("docsearch, up and current", program, ratio, "x", "<= 1.3 x" if name == "compose" else "")


def tasks(folder: Path, image: str, runs: int) -> Iterator[Figure]:
    """A task of each package of docsearch, and of 1,000 files beside them: run (a `sleep`), and replayed."""
    shutil.copytree(ROOT / "compose", folder / "compose")
    fill(folder / "many", 1000)
    (folder / "devenv.toml").write_text(
        '[compose]\nfiles = ["compose/compose.yaml"]\n[tasks.lint]\ncommand = "sleep 1"\n'
        '[tasks."//#lint"]\ncommand = "sleep 1"\ninputs = ["many"]\n'
    )
    with project(folder, image, "tasks") as ours:
        command = (*DEVENV[:-1], "run", "lint")
        ours(command)
        times = in_turn(runs, forced=lambda: ours((*command, "--force")), replayed=lambda: ours(command))
    yield Figure("four tasks of a second each, two at a time", "devenv run --force", times["forced"], "s")
    yield Figure("four tasks, 1,100 files, nothing changed", "devenv run", times["replayed"], "s", "<= 0.5 s")


def one_large(folder: Path, image: str, runs: int) -> Iterator[Figure]:
    """A context of 1,000 files: the first time, and with the hashes kept."""
    fill(folder / "app", 1000)
    (folder / "app" / "Dockerfile").write_text(f"FROM {image}\nCOPY . /app\n")
    (folder / "compose.yaml").write_text("services: {app: {build: app}}\n")
    with project(folder, image, "large") as run:
        dry = (*DEVENV, "--dry-run")
        run(dry)

        def first() -> float:
            shutil.rmtree(folder / ".devenv")
            return run(dry)

        times = in_turn(runs, first=first, again=lambda: run(dry))
        yield Figure("1,000 files, never read", "devenv build --dry-run", times["first"], "s", "<= 0.5 s")
        yield Figure("1,000 files, read before", "devenv build --dry-run", times["again"], "s", "<= 0.5 s")


def many(folder: Path, runs: int) -> Iterator[Figure]:
    """50 services with 200 files each: never read, nothing changed, one file changed."""
    services = {}
    for number in range(50):
        context = folder / f"service{number}"
        fill(context, 200)
        (context / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
        services[context.name] = {"build": {"context": str(context)}}
    definitions = read_definitions({"name": "many", "services": services}, {})
    time.sleep(2.5)  # what is younger than a file system's clock can tell is read again

    def plan() -> float:
        began = time.perf_counter()
        reader = KeyReader(definitions, {}, Store(folder))
        make_plan(reader, reader.graph({}), definitions)
        reader.save()
        return time.perf_counter() - began

    def first() -> float:
        shutil.rmtree(folder / ".devenv", ignore_errors=True)
        return plan()

    def changed() -> float:
        (folder / "service7" / "d3" / "f3.py").write_text(str(time.time()))
        return plan()

    times = in_turn(runs, first=first, again=plan, changed=changed)
    for name, what in (("first", "never read"), ("again", "nothing changed"), ("changed", "one file changed")):
        yield Figure(f"10,000 files, 50 services, {what}", "keys and plan", times[name], "s")


def fill(folder: Path, files: int) -> None:
    """Write a folder of files of a few kilobytes, in folders of 20."""
    for number in range(files):
        path = folder / f"d{number // 20}" / f"f{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {number}\n" * 400)


@contextmanager
def project(folder: Path, image: str, name: str) -> Iterator[Callable[[tuple[str, ...]], float]]:
    """Give a function that runs a command on the project and returns its seconds; remove its images in the end."""
    name = f"devenv-bench-{os.getpid()}-{name}"
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("COMPOSE_", "DEVENV_"))}
    environ |= {"COMPOSE_PROJECT_NAME": name, "IMAGE_TAG": name, "PYTHON_IMAGE": image, "PYTHONPATH": str(ROOT)}
    environ |= {"BACKEND_PORT": "0", "FRONTEND_PORT": "0"}
    environ["XDG_STATE_HOME"] = str(folder / "state")
    # As where it is installed: modules are compiled once, wherever this checkout may be written.
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    environ["PYTHONPYCACHEPREFIX"] = str(folder / "pycache")

    def run(command: tuple[str, ...]) -> float:
        began = time.perf_counter()
        done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - began
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(command)}: {done.stderr}")
        return seconds

    try:
        yield run
    finally:
        label = f"label=com.docker.compose.project={name}"
        listed = subprocess.run(
            ["docker", "images", "-q", "--filter", label], capture_output=True, text=True, check=True
        )
        if found := list(dict.fromkeys(listed.stdout.split())):
            subprocess.run(["docker", "rmi", "-f", *found], capture_output=True, check=True)


if __name__ == "__main__":
    main()
