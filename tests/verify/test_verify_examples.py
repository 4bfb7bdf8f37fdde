"""The examples of docs/VERIFY.md run on a real engine, and its tables name all that tests may use."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from unlike import LIMIT, ROOT, smoke

from devenv.runs.criteria import CRITERIA
from devenv.verify import fixtures, kube_fixtures
from devenv.verify.compose_driver import ComposeDriver
from devenv.verify.engine import Engine
from devenv.verify.http import Endpoint, Persistence, Reload, Writer
from devenv.verify.kube.cluster import Cluster
from devenv.verify.kube.driver import KubeDriver
from devenv.verify.stack import Driver, Stack

TEXT = (ROOT / "docs" / "VERIFY.md").read_text("utf-8")
EXAMPLES = TEXT.partition("<!-- examples: begin -->")[2].partition("<!-- examples: end -->")[0]
COMPOSE = """
x-service: &service
  read_only: true
  restart: unless-stopped
  command: [python3, /src/app.py]
  volumes: ["./src:/src:ro", "data:/data"]
  deploy: {resources: {limits: {memory: 128M}}}
services:
  prepare: {image: "${BASE}", command: [chmod, "777", /data], volumes: ["data:/data"]}
  api:
    <<: *service
    image: ${BASE}
    user: "1000"
    depends_on: {prepare: {condition: service_completed_successfully}}
    ports: ["127.0.0.1::8000"]
    healthcheck:
      test: [CMD, python3, -c, "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/ready')"]
      interval: 1s
  web:
    <<: *service
    build: {context: ., args: {BASE: "${BASE}"}}
    depends_on: {api: {condition: service_healthy}}
    ports: ["127.0.0.1::8000"]
volumes: {data: {}}
"""
APP = """
import os, pathlib, signal, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

items = pathlib.Path("/data/items")

class Handler(BaseHTTPRequestHandler):
    def answer(self, status, text):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def do_GET(self):
        url = urlsplit(self.path)
        if url.path == "/ready":
            self.answer(*((200, "ready") if items.exists() else (503, "no store")))
        elif url.path == "/page":
            self.answer(200, pathlib.Path("/src/page.txt").read_text())
        elif url.path == "/greeting":
            self.answer(200, os.environ.get("GREETING", ""))
        elif url.path == "/items":
            word = parse_qs(url.query)["q"][0]
            self.answer(200, word if word in items.read_text().split() else "")
        else:
            self.answer(200, "welcome")

    def do_POST(self):
        word = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with items.open("a") as file:
            file.write(word + "\\n")
        self.answer(201, "")

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
if os.access("/data", os.W_OK):
    items.touch()
ThreadingHTTPServer(("0.0.0.0", 8000), Handler).serve_forever()
"""
SETTINGS = """
[verify]
budgets = {hot_reload = 20}
[[verify.endpoint]]
service = "api"
port = 8000
path = "/ready"
ready = "/ready"
[[verify.endpoint]]
service = "web"
port = 8000
path = "/"
[[verify.reload]]
service = "api"
file = "src/page.txt"
find = "one"
replace = "one {nonce}"
path = "/page"
[verify.persistence]
write = {endpoint = "api", path = "/items", body = "{nonce}", status = 201}
read = {endpoint = "api", path = "/items?q={nonce}", contains = "{nonce}"}
"""


def functions(module: object) -> Iterator[tuple[str, str]]:
    """The fixtures of a module with their docstrings."""
    for name, value in vars(module).items():
        if type(value).__name__ == "FixtureFunctionDefinition" and value.__module__ == getattr(module, "__name__", ""):
            yield name, inspect.getdoc(value) or ""


@pytest.mark.engine
def test_every_example_passes(project: Path) -> None:
    examples = re.findall(r"```python\n(.*?)```", EXAMPLES, re.S)
    count = sum(text.count("def test_") for text in examples)
    assert count >= 10
    files = {
        "compose.yaml": COMPOSE,
        "devenv.toml": SETTINGS,
        "src/app.py": APP,
        "src/page.txt": "one\n",
        "smoketests/test_unlike.py": "\n\n".join(examples),
    }
    (project / "src").mkdir()
    for name, text in files.items():
        (project / name).write_text(text)
    process = smoke(project)
    output, _ = process.communicate(timeout=2 * LIMIT)
    assert f"{count} passed" in output, output


@pytest.mark.parametrize(
    "kind", [Stack, ComposeDriver, KubeDriver, Endpoint, Persistence, Writer, Reload, Engine, Cluster]
)
def test_all_that_tests_may_use_is_named(kind: type) -> None:
    public = {name for name in vars(kind) if not name.startswith("_")}
    if kind in (ComposeDriver, KubeDriver):  # what a stack asks of them is no test's
        public -= {*vars(Driver), *Driver.__annotations__}
    named = set(re.findall(r"`(\w+)(?:\(.*?\))?`", TEXT.partition("### What a stack can do")[2]))
    assert public - named == set()


@pytest.mark.parametrize("module", [fixtures, kube_fixtures], ids=["compose", "kubernetes"])
def test_fixtures_are_told_in_whole_sentences_with_an_example(module: object) -> None:
    found = dict(functions(module))
    assert len(found) >= 5
    for name, text in found.items():
        first = text.partition("\n\n")[0]
        assert len(first.split()) >= 8, name
        assert first.endswith("."), name
        assert "`" in text, name
    if module is fixtures:
        listed = set(re.findall(r"^\| `(\w+)` \|", TEXT.partition("### What a stack can do")[0], re.M))
        assert found.keys() - {"verify_session"} <= listed


def test_criteria_say_what_they_mean() -> None:
    for name, criterion in CRITERIA.items():
        assert len(criterion.source.split()) >= 3, name
        assert not re.search(r"\bT\d{3}\b", criterion.source), name
