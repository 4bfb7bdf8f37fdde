"""`devenv mcp`: what a client of the protocol gets of it as a process, on an engine and a cluster at the wire."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters, stdio_client
from mcp.types import CallToolResult, TextContent

from devenv.cli.mcp import Tools, make_server
from devenv.cli.parser import parse_arguments
from fakes.api_server import ApiServer, deployment, pod
from fakes.docker_engine import FakeEngine

CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "status": ("status", {}),
    "one service": ("status", {"services": ["db"]}),
    "no such service": ("status", {"services": ["dbs"]}),
    "a flag": ("status", {"services": ["--watch"]}),
    "logs": ("logs", {"grep": ["level=error"], "tail": 5}),
    "secrets": ("logs", {"targets": ["web"], "grep": ["!level"]}),
    "wrong filter": ("logs", {"grep": ["("]}),
    "wrong time": ("logs", {"since": "soon"}),
    "events": ("events", {"targets": ["db"]}),
    "evidence": ("evidence", {}),
    "load": ("evidence", {"of": "load"}),
    "nothing begun": ("verification", {}),
    "cluster": ("events", {"runtime": "kubernetes", "targets": ["pod/web-1"]}),
    "kill": ("change", {"verb": "kill", "targets": ["web"]}),
    "exec": ("change", {"verb": "exec", "targets": ["web"]}),
    "scale": ("change", {"verb": "scale", "targets": ["web"]}),
    "delete": ("change", {"verb": "delete", "runtime": "kubernetes", "targets": ["pod/web-1"]}),
    "restart": ("change", {"verb": "restart", "runtime": "kubernetes", "targets": ["deployment/web"]}),
}


def words(answer: CallToolResult) -> str:
    (content,) = answer.content
    assert isinstance(content, TextContent)
    return content.text


class Answers:
    """What the server, as a process of its own, answered by the names of the calls; and the tools that it offers."""

    def __init__(self, environ: dict[str, str]) -> None:
        self.of: dict[str, CallToolResult] = {}
        self.tools: set[str] = set()
        words = ["-m", "devenv", "mcp", "-p", "p", "--allow-changes"]
        self.command = StdioServerParameters(command=sys.executable, args=words, env=environ, cwd=environ["HOME"])

    async def ask(self) -> None:
        async with Client(stdio_client(self.command)) as client:
            self.tools = {tool.name for tool in (await client.list_tools()).tools}
            answers = await asyncio.gather(*(client.call_tool(name, given) for name, given in CALLS.values()))
            pairs = zip(CALLS, answers, strict=True)
            self.of = {name: answer for name, answer in pairs if isinstance(answer, CallToolResult)}

    def failed(self, name: str) -> str:
        assert self.of[name].is_error, words(self.of[name])
        return words(self.of[name])

    def answered(self, name: str) -> str:
        assert not self.of[name].is_error, words(self.of[name])
        return words(self.of[name])


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An engine with the project `p`, known by its labels alone, and a cluster with a pod."""
    home = tmp_path_factory.mktemp("mcp")
    with FakeEngine() as engine, ApiServer() as api:
        web = engine.add("p-web-1", service="web", project="p")
        web.more = {"Config": {"Image": "x", "Labels": web.all_labels, "Env": ["DB_PASSWORD=hunter2secret"]}}
        engine.say(web, b"connecting with hunter2secret\nlevel=error at=once\n")
        engine.die(engine.add("p-db-1", service="db", project="p"), 3)
        api.put(pod("web-1"), deployment("web"))
        own = {"HOME": str(home), "XDG_STATE_HOME": str(home / "state"), "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
        cluster = {"KUBECONFIG": str(api.kubeconfig(home / "kubeconfig"))}
        yield engine.environ | {"PATH": os.environ["PATH"]} | own | cluster


@pytest.fixture(scope="module")
def answers(environ: dict[str, str]) -> Answers:
    made = Answers(environ)
    asyncio.run(made.ask())
    return made


def test_what_runs_is_told_with_its_reasons(answers: Answers) -> None:
    state = json.loads(answers.answered("status"))
    assert {item["name"]: item["state"] for item in state["services"]} == {"web": "running", "db": "failed"}
    (db,) = json.loads(answers.answered("one service"))["services"]
    assert (db["name"], db["containers"][0]["exit_code"]) == ("db", 3)
    assert "3" in db["why"]


def test_logs_pass_the_filters_and_secrets_are_masked(answers: Answers) -> None:
    line, remark = map(json.loads, answers.answered("logs").splitlines())
    assert "is read from the labels of its containers" in remark["remark"]
    assert (line["source"], line["level"], line["text"]) == ("web-1", "error", "level=error at=once")
    assert "connecting with ••••" in answers.answered("secrets")
    assert all("hunter2" not in words(answer) for answer in answers.of.values())


def test_events_are_in_a_developers_words(answers: Answers) -> None:
    events = [json.loads(line) for line in answers.answered("events").splitlines()]
    assert [(item["service"], item["text"]) for item in events] == [("db", "exited with code 3")]
    assert answers.answered("cluster") == "nothing"


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("no such service", "hint: Did you mean db?"),
        ("a flag", "no service '--watch'"),
        ("wrong filter", "--grep"),
        ("evidence", "hint: Start one: the tool verify"),
        ("load", "No load test of this project is known"),
        ("nothing begun", "hint: Start one"),
        ("wrong time", "'soon' is not a time like 90s"),
        ("exec", "There is no verb 'exec' here"),
        ("scale", "scale needs replicas"),
    ],
)
def test_errors_are_errors_of_the_tool_with_what_to_do(answers: Answers, call: str, said: str) -> None:
    assert said in answers.failed(call)


async def test_without_the_flag_nothing_that_changes_is_offered(
    answers: Answers, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    async with Client(make_server(Tools(parse_arguments(["mcp", "-p", "p"])))) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        answer = await client.call_tool("verify", {"running": True})
    assert answers.tools - set(tools) == {"change"}
    reads = {name for name, tool in tools.items() if tool.annotations and tool.annotations.read_only_hint}
    assert reads == set(tools) - {"verify"}
    assert isinstance(answer, CallToolResult)
    assert answer.is_error
    assert "hint: Start it with --allow-changes." in words(answer)


def test_what_a_person_would_be_asked_is_refused_and_all_is_recorded(answers: Answers, environ: dict[str, str]) -> None:
    said = answers.failed("kill")
    assert "is to be confirmed by a person" in said
    assert "Hits 1 container: p-web-1." in said
    assert "Lost for ever: pod default/web-1: nothing makes it again." in answers.failed("delete")
    assert json.loads(answers.answered("restart"))["done"] == "restart"
    log = Path(environ["XDG_STATE_HOME"], "devenv", "audit.jsonl").read_text("utf-8").splitlines()
    records = [(item["event"], item["verb"]) for item in map(json.loads, log) if item.get("source") == "mcp"]
    assert sorted(records) == [("allowed", "restart"), ("refused", "delete"), ("refused", "kill")]
