"""Every act on a Compose stack, on a real engine: as a command, and from its key to what is seen on the screen."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from throwaway import Throwaway

from tests.engine.program import Program, program
from tests.terminal.real_terminal import RealTerminal

pytestmark = [pytest.mark.engine, pytest.mark.terminal]


@pytest.fixture
def made(tmp_path: Path, base_image: str) -> Iterator[Program]:
    with program("acts", tmp_path, base_image) as project:
        yield project


def states(made: Program) -> dict[str, str]:
    """The state of each container, by its name without the project's."""
    listed = [json.loads(line) for line in made.compose("ps", "--all", "--format", "json").splitlines()]
    return {item["Name"].removeprefix(f"{made.name}-"): item["State"] for item in listed}


def test_the_commands_mean_what_compose_means_and_pass_the_guard(made: Program) -> None:
    assert made.run("up", "web").returncode == 0
    listed = made.run("ps", "--services")
    assert (listed.returncode, set(listed.stdout.split())) == (0, {"db", "web"})
    done = made.run("exec", "-T", "-e", "WORD=hello", "web", "sh", "-c", "echo $WORD; exit 3")
    assert (done.returncode, done.stdout) == (3, "hello\n")
    for verb, state in (("pause", "paused"), ("unpause", "running")):
        assert made.run(verb, "web").returncode == 0
        assert states(made)["web-1"] == state
    assert made.run("scale", "web=3").returncode == 0
    assert len(states(made)) == 4
    fewer = made.run("scale", "web=1")
    assert f"Takes 2 containers: {made.name}-web-2, {made.name}-web-3." in fewer.stderr
    (made.state / "note").write_text("from outside")
    assert made.run("cp", str(made.state / "note"), "web:/tmp/note").returncode == 0
    assert made.run("exec", "-T", "web", "cat", "/tmp/note").stdout == "from outside"
    killed = made.run("kill", "-s", "TERM", "web")
    assert "Sends TERM to the processes of web" in killed.stderr
    assert f"Hits 1 container: {made.name}-web-1." in killed.stderr
    deadline = time.monotonic() + 30  # it is told to end, and not waited for
    while states(made)["web-1"] != "exited":
        assert time.monotonic() < deadline
    removed = made.run("rm", "web")
    assert f"Takes 1 container: {made.name}-web-1." in removed.stderr
    assert "What they wrote into no volume is lost." in removed.stderr
    assert "web-1" not in states(made)
    refused = made.run("--read-only", "exec", "-T", "db", "true")
    assert refused.returncode == 10

    told = [json.loads(line) for line in made.run("audit-log", "--json").stdout.splitlines()]
    assert [(entry["what"], entry["verdict"]) for entry in told] == [
        ("up web", "done"),
        ("exec web", "failed"),
        ("pause web", "done"),
        ("unpause web", "done"),
        ("scale web", "done"),
        ("scale web", "done"),
        ("cp web", "done"),
        ("exec web", "done"),
        ("kill web", "done"),
        ("rm web", "done"),
        ("exec db", "refused"),
    ]
    assert told[8]["command"] == "docker compose kill -s TERM web"


def test_down_names_what_it_takes_and_leaves_and_all_takes_that_too(made: Program) -> None:
    assert made.run("--profile", "debug", "up").returncode == 0
    made.compose("run", "--detach", "--name", f"{made.name}-once", "web", "sleep", "600")
    left = made.run("down")
    assert left.returncode == 1
    assert f"Takes 2 containers, 1 network: {made.name}-db-1, {made.name}-web-1." in left.stderr
    leaves = f"Leaves {made.name}-debug-1 (inactive profile), {made.name}-once (one-off): to take them too, --all."
    assert leaves in left.stderr
    refused = made.run("down", "--all", "-v")
    assert refused.returncode == 10
    assert "1 volume with" in refused.stderr
    assert made.run("down", "--all", "-v", "--yes").returncode == 0
    assert made.compose("ps", "-aq") == ""


def row(terminal: RealTerminal, service: str) -> str:
    return next((line for line in terminal.text().splitlines() if line[2:].startswith(f"{service} ")), "")


def confirm(terminal: RealTerminal, title: str, *facts: str) -> None:
    """Wait until the question stands and its keys count, then answer yes."""
    terminal.until(lambda: title in terminal.text() and "no (n)" in terminal.text(), limit=60)
    for fact in facts:
        assert fact in terminal.text(), terminal.text()
    terminal.send("y")


def test_each_act_from_its_key_to_what_is_seen(made: Program) -> None:
    command = [sys.executable, "-m", "devenv", "tui"]
    with RealTerminal(command, made.folder, size=(130, 45), environ=made.environ) as terminal:

        def sees(service: str, words: str) -> None:
            terminal.until(lambda: words in row(terminal, service), limit=60)

        def done(what: str) -> None:
            terminal.until(lambda: f"✓ {what}: done in" in terminal.text(), limit=60)

        terminal.until(lambda: "● live" in terminal.text() and "○ absent" in row(terminal, "web"))
        terminal.send("gju")  # web, with the db that it depends on
        sees("web", "running")
        sees("db", "running")
        terminal.send("P")
        sees("web", "paused")
        terminal.send("P")
        sees("web", "running")
        terminal.send("gP")
        sees("db", "paused")
        terminal.send("gP")
        sees("db", "running")

        terminal.send("gjc")
        terminal.until(lambda: "How many containers shall web have?" in terminal.text())
        terminal.send("\x7f2\r")
        sees("web-2", "running")
        terminal.send("c")
        terminal.until(lambda: "How many containers shall web have?" in terminal.text())
        terminal.send("\x7f1\r")
        confirm(terminal, "Scale: web?", f"Takes 1 container: {made.name}-web-2.")
        terminal.until(lambda: not row(terminal, "web-2") and "running" in row(terminal, "web"), limit=60)

        before = container_id(made, "web")
        terminal.send("\x12")
        confirm(terminal, "Recreate: web?", f"Takes 1 container: {made.name}-web-1.")
        done("recreate web")
        assert container_id(made, "web") != before

        terminal.send("s")
        terminal.until(lambda: "docker exec --interactive --tty" in terminal.text())
        terminal.send("echo in-$((40+2))-shell; exit\r")
        # The shell has ended and the terminal is drawn anew: what is typed before goes to the shell.
        terminal.until(lambda: b"in-42-shell" in terminal.output, limit=60)
        terminal.until(lambda: "● live" in terminal.text() and "docker exec" not in terminal.text(), limit=60)
        terminal.send("!")
        terminal.until(lambda: "in a new container of web?" in terminal.text())
        terminal.send("sh -c 'touch /data; exit 7'\r")
        terminal.until(lambda: "run ended with exit code 7" in terminal.text(), limit=60)

        terminal.send("\x0b")
        terminal.until(lambda: "Which signal for web?" in terminal.text())
        terminal.send("TERM\r")
        confirm(terminal, "Kill: web?", f"Hits 1 container: {made.name}-web-1.")
        sees("web", "exited")
        terminal.send("\x04")
        confirm(terminal, "Rm: web?", f"Takes 1 container: {made.name}-web-1.")
        sees("web", "absent")

        terminal.send("A")
        terminal.until(lambda: "audit log" in terminal.text() and "kill web" in terminal.text())
        terminal.send("\x1b")
        terminal.until(lambda: "kill web" not in terminal.text())
        terminal.send("\x10")  # the palette
        terminal.until(lambda: "Search" in terminal.text())
        terminal.send("delete its volumes")
        terminal.until(lambda: "down project and delete its volumes" in terminal.text())
        terminal.send("\r")
        with suppress(AssertionError):  # while it still looks for more, enter only goes to the first of the list
            terminal.until(lambda: f"Type {made.name} to confirm" in terminal.text(), limit=10)
        if "🔎" in terminal.text():
            terminal.send("\r")
        terminal.until(
            lambda: f"Type {made.name} to confirm" in terminal.text() and "no (Esc)" in terminal.text(), limit=60
        )
        assert "1 volume with" in terminal.text()
        terminal.send(f"{made.name}\r")
        sees("db", "absent")
        done("down project")
        terminal.send("q")
        terminal.until(lambda: terminal.ended)
        assert terminal.exit_code == 0
    listed = subprocess.run(
        ["docker", "volume", "ls", "-q", "--filter", f"name={made.name}"], capture_output=True, text=True, check=True
    )
    assert listed.stdout == ""


def test_the_terminal_goes_to_another_project_and_back_and_changes_that_one_alone(
    made: Program, project: Callable[..., Throwaway]
) -> None:
    other = project(beside={"command": ["sleep", "inf"]})
    other.compose("up", "-d")
    assert made.run("up", "web").returncode == 0
    command = [sys.executable, "-m", "devenv", "tui"]
    with RealTerminal(command, made.folder, size=(130, 45), environ=made.environ) as terminal:
        terminal.until(lambda: "● live" in terminal.text() and "running" in row(terminal, "web"), limit=60)
        terminal.send(f":project {other.name}\r")
        terminal.until(lambda: "running" in row(terminal, "beside"), limit=60)
        assert not row(terminal, "web")
        terminal.send("S")
        terminal.until(lambda: "exited" in row(terminal, "beside"), limit=60)
        assert states(made)["web-1"] == "running"
        terminal.send(f":project {made.name}\r")
        terminal.until(lambda: "running" in row(terminal, "web"), limit=60)
        terminal.send(":docker-context default\r")
        terminal.until(lambda: terminal.output.count(b"\x1b[?1049h") == 4, limit=60)
        terminal.until(lambda: "running" in row(terminal, "web"), limit=60)
        terminal.send("q")
        terminal.until(lambda: terminal.ended)
        assert terminal.exit_code == 0


@pytest.fixture
def left_over(made: Program) -> str:
    """What `prune` is about: an orphan, an ended one-off run, an image that lost its name, a volume nothing uses."""
    other = uuid.uuid4().hex[:8]

    def docker(*words: str, text: str = "") -> str:
        done = subprocess.run(["docker", *words], input=text, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def label(project: str) -> str:
        return f"--label=com.docker.compose.project={project}"

    of_gone = ("--label=com.docker.compose.service=gone", "--label=com.docker.compose.oneoff=False")
    docker("create", "--name", f"{made.name}-gone-1", label(made.name), *of_gone, made.image, "true")
    docker("run", "--name", f"{made.name}-once", label(made.name), "--label=com.docker.compose.service=web",
           "--label=com.docker.compose.oneoff=True", made.image, "true")  # fmt: skip
    docker("build", "--quiet", label(made.name), "-", text=f"FROM {made.image}\nLABEL a={other}\n")
    docker("volume", "create", label(made.name), f"{made.name}_old")
    return f"{made.name}-gone-1 (orphan, created), {made.name}-once (one-off, exited)"


def test_prune_removes_what_it_names_and_nothing_else(made: Program, left_over: str) -> None:
    assert made.run("--profile", "debug", "up").returncode == 0
    running = states(made)
    shown = made.run("prune", "--dry-run")
    assert f"Takes 2 containers: {left_over}." in shown.stdout, shown.stdout + shown.stderr
    assert "Takes 1 image without a name" in shown.stdout
    assert f"Leaves 1 unused volume: {made.name}_old." in shown.stdout
    assert made.run("--read-only", "prune", "--yes").returncode == 10
    refused = made.run("prune", "--volumes")
    assert refused.returncode == 10
    assert f"would delete {made.name}_old" in refused.stderr
    done = made.run("prune")
    assert done.returncode == 0, done.stderr
    again = made.run("prune")
    assert f"Nothing of project {made.name} is to be freed." in again.stderr
    assert states(made) == running, "what runs is no orphan, of an inactive profile neither"
    listed = subprocess.run(["docker", "volume", "ls", "-q"], capture_output=True, text=True, check=True).stdout.split()
    assert f"{made.name}_old" in listed
    entries = [json.loads(line) for line in made.run("audit-log", "--json").stdout.splitlines()]
    assert [(entry["what"], entry["verdict"]) for entry in entries[1:]] == [
        *[("prune", "refused")] * 2,
        *[("prune", "done")] * 2,
    ]


def test_prune_in_the_terminal_names_it_and_wants_the_name_for_volumes(made: Program, left_over: str) -> None:
    command = [sys.executable, "-m", "devenv", "tui"]
    with RealTerminal(command, made.folder, size=(150, 45), environ=made.environ) as terminal:
        terminal.until(lambda: "● live" in terminal.text() and "○ absent" in row(terminal, "web"), limit=60)
        terminal.send(":prune\ry")  # typed blindly: the y does not count
        terminal.until(lambda: "Prune: the whole project?" in terminal.text() and "no (n)" in terminal.text(), limit=60)
        assert "Takes 2 containers:" in terminal.text()
        terminal.send("n")
        terminal.until(lambda: "Prune: the whole project?" not in terminal.text())
        terminal.send(":prune-volumes\r")
        wanted = (f"Type {made.name} to confirm", "no (Esc)")
        terminal.until(lambda: all(word in terminal.text() for word in wanted), limit=60)
        assert f"{made.name}_old" in terminal.text()
        terminal.send(f"{made.name}\r")
        terminal.until(lambda: "✓ prune project: done in" in terminal.text(), limit=60)
        terminal.send("q")
    assert f"Nothing of project {made.name} is to be freed." in made.run("prune", "--dry-run", "--volumes").stdout


def container_id(made: Program, service: str) -> str:
    return made.compose("ps", "-q", service)
