"""`devenv logs`: harmless on a terminal, untouched in a pipe, in order, filtered; the engine is played."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
from fakedocker import fake_docker

from fakes.docker_container import FakeContainer
from fakes.docker_engine import CUT, FakeEngine
from tests import forked

ROOT = Path(__file__).parents[2]
WORDS = b"\x1b]52;c;aGk=\x07[/foo] \x1b[31mred\x1b[0m \xff end"
COMPOSE = """case "$*" in *config*) echo '{"name": "p", "services": {"web": {}, "api": {}}}'; exit;; esac"""
START = 1_700_000_000_000_000_000  # ns since the epoch


def made(engine: FakeEngine, service: str, number: int = 1, **fields: object) -> FakeContainer:
    return engine.add(f"p-{service}-{number}", project="p", service=service, number=number, **fields)


def said(container: FakeContainer, *texts: bytes, at: float = 0.0, apart: float = 1.0) -> None:
    """Let it have printed lines, the first so many seconds after START."""
    for index, text in enumerate(texts):
        container.log.append((START + int((at + index * apart) * 1e9), 1, text + b"\n"))


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    with FakeEngine() as made_engine:
        yield made_engine


@pytest.fixture
def environ(engine: FakeEngine, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "compose.yaml").touch()
    found = fake_docker(tmp_path, COMPOSE) | engine.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm"}
    found.pop("NO_COLOR", None)
    return found


@pytest.fixture
def run(environ: dict[str, str], tmp_path: Path) -> Run:
    return Run(environ, tmp_path)


class Run:
    """Runs the command as a user would."""

    def __init__(self, environ: dict[str, str], folder: Path) -> None:
        self.environ, self.folder = environ, folder

    def __call__(self, *options: str, code: int = 0) -> subprocess.CompletedProcess[bytes]:
        done = forked.run("devenv", "logs", *options, cwd=self.folder, env=self.environ, text=False)
        assert done.returncode == code, done.stderr
        return done

    def lines(self, *options: str) -> list[str]:
        return self(*options).stdout.decode().splitlines()

    def on_terminal(self, *options: str) -> bytes:
        """Return what a terminal gets."""
        ours, theirs = pty.openpty()
        streams = {"stdin": subprocess.DEVNULL, "stdout": theirs}
        process = forked.Popen("devenv", "logs", *options, cwd=self.folder, env=self.environ, **streams)
        os.close(theirs)
        data = bytearray()
        while True:
            try:
                data += os.read(ours, 1 << 16)
            except OSError:  # how Linux says that the other side was closed (EIO)
                break
        os.close(ours)
        assert process.wait(timeout=30) == 0
        return bytes(data)

    @contextmanager
    def following(self, *options: str) -> Iterator[Following]:
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = forked.Popen(
            "devenv", "logs", "-f", *options, cwd=self.folder, env=self.environ, text=False, **streams
        )
        try:
            yield Following(process)
        finally:
            process.kill()
            process.communicate()


class Following:
    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        assert process.stdout is not None
        assert process.stderr is not None
        self.stdout: IO[bytes] = process.stdout
        self.stderr: IO[bytes] = process.stderr

    def says(self, *lines: bytes) -> None:
        for line in lines:
            assert self.stdout.readline() == line + b"\n"

    def end(self, number: signal.Signals = signal.SIGINT) -> bytes:
        self.process.send_signal(number)
        _, told = self.process.communicate(timeout=30)
        assert self.process.returncode == 130, told
        return told


def test_a_terminal_gets_text_and_colours_only(engine: FakeEngine, run: Run) -> None:
    said(made(engine, "web"), WORDS, b"x" * 10_000_000)
    shown = run.on_terminal()
    first, _, rest = shown.partition(b"\r\n")
    assert first == "\x1b[36mweb-1  |\x1b[0m [/foo] \x1b[31mred\x1b[0m \ufffd end".encode()
    assert b"\x1b]" not in shown
    assert rest.count(b"x") == 10_000_000
    assert b"\x1b" not in run.on_terminal("--tail", "2", "--no-color")


def test_a_pipe_gets_every_byte_as_it_is_also_where_it_is_filtered(engine: FakeEngine, run: Run) -> None:
    said(made(engine, "web"), WORDS, b"x" * 10_000_000)
    done = run()
    assert done.stdout == b"web-1  | " + WORDS + b"\nweb-1  | " + b"x" * 10_000_000 + b"\n"
    assert done.stderr == b""
    assert run("--grep", r"\] red").stdout == b"web-1  | " + WORDS + b"\n"


@pytest.mark.parametrize("known", ["of the container", "of the project"])
def test_secrets_are_masked_in_a_pipe_and_on_a_terminal(engine: FakeEngine, run: Run, known: str) -> None:
    web = made(engine, "web")
    if known == "of the container":
        web.more = {"Config": {"Image": "x", "Labels": web.all_labels, "Env": ["API_TOKEN=pl4nted-value"]}}
    else:
        script = run.folder / "docker"
        declared = '{"web": {"environment": {"API_TOKEN": "pl4nted-value"}}'
        script.write_text(script.read_text().replace('{"web": {}', declared))
    said(web, b"it is pl4nted-value")
    assert run().stdout == "web-1  | it is ••••\n".encode()
    assert run.on_terminal("--no-color") == "web-1  | it is ••••\r\n".encode()
    assert "pl4nted" not in run("--json").stdout.decode()
    with run.following() as following:
        following.says("web-1  | it is ••••".encode())
        following.end()


def test_several_services_are_in_the_order_of_time_and_can_be_chosen(engine: FakeEngine, run: Run) -> None:
    web, api, again = made(engine, "web"), made(engine, "api"), made(engine, "api", 10)
    said(web, b"one", b"three", apart=2.0)
    said(api, b"two", b"four", at=1.0, apart=2.0)
    said(again, b"zero", at=-1.0)
    said(engine.add("p-web-run", project="p", service="web", one_off=True), b"by hand", at=5.0)
    assert run.lines() == ["api-10  | zero", "web-1   | one", "api-1   | two", "web-1   | three", "api-1   | four"]
    assert run.lines("web") == ["web-1  | one", "web-1  | three"]
    assert run.lines("--all")[-1] == "web-run  | by hand"
    assert run.lines("--tail", "1", "-t", "web") == ["web-1  | 2023-11-14T22:13:22.000+00:00 three"]
    assert b"Did you mean" in run("wbe", code=2).stderr


def test_filters_and_times(engine: FakeEngine, run: Run) -> None:
    web = made(engine, "web")
    said(web, b'{"level":"error","msg":"timeout"}', b"WARN slow", b"level=info msg=started", b"GET /health 200")
    assert run.lines("--level", "warn") == ['web-1  | {"level":"error","msg":"timeout"}', "web-1  | WARN slow"]
    assert run.lines("--grep", "!level", "--grep", "!slow") == ["web-1  | GET /health 200"]
    assert run.lines("--grep", "level=error msg~time") == ['web-1  | {"level":"error","msg":"timeout"}']
    between = ("--since", "2023-11-14T22:13:21Z", "--until", "2023-11-14T22:13:22Z")
    assert run.lines(*between) == ["web-1  | WARN slow", "web-1  | level=info msg=started"]
    assert run.lines("--since", "5m") == []
    first, *_ = map(json.loads, run.lines("--json"))
    assert first == {
        "at": "2023-11-14T22:13:20.000000+00:00",
        "source": "web-1",
        "stream": "stdout",
        "level": "error",
        "text": '{"level":"error","msg":"timeout"}',
        "fields": {"level": "error", "msg": "timeout"},
    }
    for options, why in (
        (("--grep", "("), b"is not a regular expression"),
        (("--since", "soon"), b"'soon' is not a time"),
        (("-f", "--until", "5m"), b"--follow does not go with"),
        (("--level", "loud"), b"invalid choice"),
    ):
        assert why in run(*options, code=2).stderr
    said(web, b"a" * 60 + b"b", at=9.0)
    assert b"takes too long" in run("--grep", "(a|aa)+$", code=2).stderr


def test_what_was_printed_before_the_last_start(engine: FakeEngine, run: Run) -> None:
    web = made(engine, "web", started_ns=START + 5_000_000_000)
    said(web, b"first life", at=1.0)
    said(web, b"second life", at=6.0)
    assert run.lines("--previous") == ["web-1  | first life"]
    assert b"--follow does not go with" in run("--previous", "-f", code=2).stderr


def test_a_reader_that_has_enough_is_no_error(engine: FakeEngine, environ: dict[str, str], tmp_path: Path) -> None:
    said(made(engine, "web"), *[b"x" * 1000] * 1000, apart=0.001)
    shell = f"{sys.executable} -m devenv logs 2>err | head -c 5; code=${{PIPESTATUS[0]}}; echo; echo $code"
    done = subprocess.run(
        ["bash", "-c", shell], cwd=tmp_path, env=environ, capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout == "web-1\n141\n"
    assert (tmp_path / "err").read_text() == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_following_ends_with_ctrl_c(engine: FakeEngine, run: Run, number: signal.Signals) -> None:
    said(made(engine, "web"), b"line")
    with run.following() as following:
        following.says(b"web-1  | line")
        assert following.end(number) == b""


def test_following_goes_on_through_restarts_of_container_and_engine(engine: FakeEngine, run: Run) -> None:
    web = made(engine, "web")
    said(web, b"old", b"last")
    with run.following("--tail", "1") as following:
        following.says(b"web-1  | last")
        engine.die(web, 3)
        assert following.stderr.readline() == b"web-1 | -- container exited with code 3 --\n"
        engine.begin(web)
        engine.say(web, b"second life\n")
        following.says(b"web-1  | second life")
        engine.stop()
        # The log's own reader and the events' notice it each by itself.
        assert any(b"the engine ended the connection" in line for line in iter(following.stderr.readline, b""))
        web.log.append((time.time_ns(), 1, b"meanwhile\n"))
        engine.start()
        following.says(b"web-1  | meanwhile")
        engine.remove(web)
        new = made(engine, "web", announce=True)
        engine.say(new, b"of the new one\n")
        following.says(b"web-1  | of the new one")
        following.end()


def test_following_several_keeps_the_order_of_their_times(engine: FakeEngine, run: Run) -> None:
    web, api = made(engine, "web"), made(engine, "api")
    said(web, b"one", b"three", apart=2.0)
    said(api, b"two", b"four", at=1.0, apart=2.0)
    with run.following("--grep", "!two") as following:
        following.says(b"web-1  | one", b"web-1  | three", b"api-1  | four")
        following.end()


def test_a_line_cut_by_a_break_is_whole_and_comes_once(engine: FakeEngine, run: Run) -> None:
    web = made(engine, "web")
    said(web, "grün".encode())
    with run.following() as following:
        following.says("web-1  | grün".encode())
        deadline = time.monotonic() + 30
        while not engine.log_readers(web):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        said(web, "rötlich".encode(), at=1.0)
        half = b"\1\0\0\0\0\0\0\x28" + b"2023-11-14T22:13:21.000000000Z r\xc3"
        engine.say_raw(web, half)
        engine.end_log(web, CUT)
        following.says("web-1  | rötlich".encode())
        following.end()


def test_an_engine_that_does_not_answer(run: Run) -> None:
    run.environ["DOCKER_HOST"] = "unix:///x.sock"
    assert b"unix:///x.sock" in run(code=3).stderr


def test_a_logging_driver_that_keeps_nothing_is_told_at_once(engine: FakeEngine, run: Run) -> None:
    said(made(engine, "web"), b"line")
    api = made(engine, "api")
    refused = b'{"message": "Cannot read \\"[/foo]\\": no logs are kept"}'
    engine.faults[f"/containers/{api.id}/logs"] = (501, refused)
    done = run()
    assert done.stdout == b"web-1  | line\n"
    assert done.stderr.startswith(b"devenv: warning: ")
    assert b'Cannot read "[/foo]": no logs are kept' in done.stderr
    with run.following() as following:
        assert b'Cannot read "[/foo]": no logs are kept' in following.stderr.readline()
        following.end()
