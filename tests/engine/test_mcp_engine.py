"""`devenv mcp` on a real engine: a client sees a service, restarts it, verifies the project and reads the verdict."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mcp import Client, StdioServerParameters, stdio_client
from mcp.types import CallToolResult, TextContent
from throwaway import Throwaway

import devenv

ENVIRON = os.environ | {"PYTHONPATH": f"{Path(devenv.__file__).parents[1]}:{os.environ.get('PYTHONPATH', '')}"}


def text(answer: object) -> str:
    assert isinstance(answer, CallToolResult)
    (content,) = answer.content
    assert isinstance(content, TextContent)
    return content.text


async def test_a_client_sees_changes_and_verifies_a_project(project: Callable[..., Throwaway], tmp_path: Path) -> None:
    made = project(web={"command": ["sleep", "inf"]})
    made.compose("up", "-d")
    tests = tmp_path / "smoketests"
    tests.mkdir()
    (tests / "test_it.py").write_text("def test_it():\n    pass\n\ndef test_other():\n    assert 1 == 2\n", "utf-8")
    (tmp_path / "devenv.toml").touch()
    environ = ENVIRON | {
        "XDG_STATE_HOME": str(tmp_path / "state"),
    }
    words = ["-m", "devenv", "mcp", "--allow-changes", "-p", made.name, "-f", str(made.file)]
    command = StdioServerParameters(command=sys.executable, args=words, env=environ, cwd=tmp_path)
    async with Client(stdio_client(command)) as client:

        async def ask(name: str, **given: Any) -> str:
            return text(await client.call_tool(name, given))

        assert json.loads(await ask("status"))["services"][0]["state"] == "running"
        began = time.time()
        assert json.loads(await ask("change", verb="restart", targets=["web"]))["steps"]
        events = [json.loads(line) for line in (await ask("events", since=f"{began:.3f}")).splitlines()]
        assert [item["text"] for item in events][-1] == "restarted"
        assert "Takes 1 container" in await ask("change", verb="down")
        assert json.loads(await ask("verify"))["begun"]
        over = json.loads(await ask("verification", wait=100))
        assert (over["over"], over["verdict"], over["passed"]) == (True, "failed", 1)
        assert "assert 1 == 2" in over["not_passed"][0]["why"]
        kept = json.loads(await ask("evidence"))
        assert (kept["verdict"], kept["run"]) == ("failed", over["run"])


def test_it_ends_when_it_is_asked_to_while_its_client_is_silent(tmp_path: Path) -> None:
    environ = ENVIRON | {"PYTHONPATH": str(Path(devenv.__file__).parents[1]) + ":" + os.environ.get("PYTHONPATH", "")}
    with subprocess.Popen(
        [sys.executable, "-m", "devenv", "mcp"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=tmp_path,
        env=environ,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        about = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
        process.stdin.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": about}).encode())
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["result"]["serverInfo"]["name"] == "devenv"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 130
