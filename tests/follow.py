"""Follows the command blocks of a page line by line, and times each line.

    python -m tests.follow README.md              in a fresh clone
    python -m tests.follow docs/YOUR_PROJECT.md   in an environment of its own and a small project that is made for it

Each line is a step of one shell, so that `cd` and an activated environment hold for the next; the first that fails is
the last. tests/setup/fresh-machine does the same with README.md on a Debian without Docker. Needs an engine; what the
pages start is removed at the end. COMPOSE_PROJECT_NAME, IMAGE_TAG, BACKEND_PORT and FRONTEND_PORT keep README's stack
apart from one that runs.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"(?:^ *<!-- (run by|needs): (.+?) -->\n)?^ *```sh\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
FOLLOWED = {"README.md": "tests/setup/fresh-machine", "docs/YOUR_PROJECT.md": "tests/engine/test_docs_blocks.py"}
MARK = "-- step of the page:"
COMPOSE = """\
services:
  store:
    image: IMAGE
    init: true
    command: [python3, -m, http.server, "5000", --directory, /data]
    volumes: ["rows:/data"]
    healthcheck: &health
      test: [CMD, python3, -c, "import urllib.request; urllib.request.urlopen('http://127.0.0.1:5000')"]
      interval: 1s
      start_interval: 200ms
      start_period: 10s
  backend:
    build: ./backend
    init: true
    command: [sh, -c, "while sleep 1; do echo job done; done"]
    depends_on:
      store: {condition: service_healthy}
  web:
    build: ./web
    init: true
    ports: ["127.0.0.1::8080"]
    healthcheck:
      <<: *health
      test: [CMD, python3, -c, "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080')"]
    depends_on: [backend]
volumes:
  rows:
"""
DOCKERFILE = 'FROM IMAGE\nCOPY page.html /srv/\nWORKDIR /srv\nCMD ["python3", "-m", "http.server", "8080"]\n'


@dataclass(frozen=True, slots=True)
class Step:
    """A line of a page that was followed."""

    command: str
    seconds: float
    exit_code: int


def commands_of(page: str, by: str) -> Iterator[list[str]]:
    """Yield the command lines, without their comments, of each block of a page that says that `by` runs it."""
    for kind, value, block in BLOCK.findall((ROOT / page).read_text("utf-8")):
        if (kind, value) == ("run by", by):
            # backend#test is no comment.
            yield [line for raw in block.splitlines() if (line := re.sub(r"(^|\s+)#.*", "", raw).strip())]


def follow(
    commands: Sequence[str], shell: Sequence[str] = ("bash", "-c"), env: Mapping[str, str] | None = None
) -> list[Step]:
    """Run commands in one shell without input until one fails; what they print goes to stderr."""
    script = [
        f"{{ {command}\n}} </dev/null 2>&1\ncode=$?; echo; echo '{MARK}' $code; [ $code = 0 ] || exit $code"
        for command in commands
    ]
    steps: list[Step] = []
    with subprocess.Popen(
        [*shell, "\n".join(script)], stdout=subprocess.PIPE, text=True, errors="replace", env=env
    ) as running:
        assert running.stdout
        began = time.monotonic()
        for line in running.stdout:
            if not line.startswith(MARK):
                sys.stderr.write(line)
                continue
            steps.append(Step(commands[len(steps)], time.monotonic() - began, int(line.removeprefix(MARK))))
            began = time.monotonic()
    if running.returncode and not (steps and steps[-1].exit_code):  # the shell itself ended
        steps.append(Step(commands[len(steps)], time.monotonic() - began, running.returncode))
    return steps


def table(steps: Sequence[Step]) -> str:
    """Each step with its seconds and its exit code, and their sum, as Markdown."""
    rows = [f"| `{step.command}` | {step.seconds:.1f} | {step.exit_code or 'done'} |" for step in steps]
    whole = sum(step.seconds for step in steps)
    return "\n".join(("| step | seconds | result |", "|---|---|---|", *rows, f"| all | {whole:.1f} | |"))


def make_project(folder: Path, image: str) -> None:
    """Make a project unlike docsearch: a store with a volume, a worker that nobody calls, and a page."""
    for service in ("web", "backend"):
        (folder / service).mkdir(parents=True)
        (folder / service / "page.html").write_text("hello\n", "utf-8")
        (folder / service / "Dockerfile").write_text(DOCKERFILE.replace("IMAGE", image), "utf-8")
    (folder / "compose.yaml").write_text(COMPOSE.replace("IMAGE", image), "utf-8")
    for words in (("init", "-q"), ("add", "."), ("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "all")):
        subprocess.run(["git", *words], cwd=folder, check=True)


def remove_project(folder: Path) -> None:
    """Remove what a project has on the engine."""
    left = ["docker", "compose", "down", "--volumes", "--rmi", "local", "--timeout", "1"]
    subprocess.run(left, cwd=folder, capture_output=True, check=False)


def main() -> None:
    page = sys.argv[1] if len(sys.argv) == 2 else ""
    if page not in FOLLOWED:
        sys.exit(f"usage: python -m tests.follow {'|'.join(FOLLOWED)}")
    commands = [line for block in commands_of(page, FOLLOWED[page]) for line in block]
    with tempfile.TemporaryDirectory(prefix="devenv-follow-") as place:
        project = Path(place, "your-project")
        if page == "README.md":
            commands = [f"git clone --quiet {shlex.quote(str(ROOT))} devenv", "cd devenv", *commands]
            project = Path(place, "devenv/compose")
        else:
            image = subprocess.run([ROOT / "scripts/base-image"], capture_output=True, text=True, check=True)
            make_project(project, image.stdout.strip())
            commands = [line.replace("/path/to/devenv", shlex.quote(str(ROOT))) for line in commands]
            commands = ["python3 -m venv .venv", ". .venv/bin/activate", *commands]
        # What this process was started with must not be found by the page's own environment.
        clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
        clean |= {"XDG_STATE_HOME": f"{place}/state", "XDG_CACHE_HOME": f"{place}/cache"}
        try:
            steps = follow([f"cd {place}", *commands], env=clean)[1:]
        finally:
            if project.exists():
                remove_project(project)
    sys.stdout.write(table(steps) + "\n")
    sys.exit(steps[-1].exit_code)


if __name__ == "__main__":
    main()
