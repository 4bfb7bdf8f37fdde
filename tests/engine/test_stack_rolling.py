"""A rolling restart of two backends on PostgreSQL under load: every request is answered, every document there once."""

from __future__ import annotations

import json
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from open_load import RATE, constant_load
from stack_images import ROOT, Images, run

pytestmark = pytest.mark.engine


@dataclass(frozen=True)
class Stack:
    """The project with PostgreSQL and two backends."""

    project: str
    environ: dict[str, str]

    def compose(self, *arguments: str) -> str:
        files = [word for name in ("compose", "compose.postgres") for word in ("-f", f"{ROOT}/compose/{name}.yaml")]
        return run("docker", "compose", "-p", self.project, *files, *arguments, limit=120, **self.environ)

    def page(self) -> str:
        return f"http://{self.compose('port', 'frontend', '3000')}"

    def backends(self) -> list[str]:
        return self.compose("ps", "--quiet", "backend").split()


@pytest.fixture(scope="module")
def stack(stack_images: Images) -> Iterator[Stack]:
    environ = {
        "IMAGE_TAG": stack_images.tag,
        "PYTHON_IMAGE": stack_images.base,
        "POSTGRES_IMAGE": stack_images.postgres,
        "BACKEND_PORT": "0",
        "FRONTEND_PORT": "0",
        "RELOAD": "0",
    }
    made = Stack(f"devenv-test-{uuid.uuid4().hex[:8]}", environ)
    try:
        made.compose("up", "--detach", "--wait", "--no-build", "--scale", "backend=2")
        yield made
    finally:
        made.compose("down", "--volumes", "--timeout", "5")


def health(container: str) -> str:
    return run("docker", "inspect", "--format", "{{.State.Health.Status}}", container)


def answered(stack: Stack) -> Counter[str]:
    """Return how many requests to the API each backend has answered since it started."""
    counted: Counter[str] = Counter()
    for container in stack.backends():
        address = "http://" + run("docker", "port", container, "8000/tcp").splitlines()[0]
        lines = httpx.get(f"{address}/metrics", trust_env=False).text.splitlines()
        requests = [line for line in lines if line.startswith("docindexer_http_requests_total{")]
        counted[container] = round(sum(float(line.rpartition(" ")[2]) for line in requests if "/documents" in line))
    return counted


def test_no_request_fails_while_each_backend_is_restarted(stack: Stack) -> None:
    page = stack.page()
    collection = httpx.post(f"{page}/api/collections", json={"name": "c"}, trust_env=False).json()["id"]
    with constant_load(page, collection) as load:
        load.wait(lambda now: now.sent > 4 * RATE, 20)
        both = answered(stack)
        for container in stack.backends():
            began = run("docker", "inspect", "--format", "{{.State.StartedAt}}", container)
            run("docker", "restart", container)
            assert run("docker", "inspect", "--format", "{{.State.StartedAt}}", container) != began
            deadline = time.monotonic() + 30
            while health(container) != "healthy":
                assert time.monotonic() < deadline, run("docker", "logs", "--tail=20", container)
                time.sleep(0.1)
            load.wait(lambda _, restarted=container: answered(stack)[restarted] > RATE / 2, 30)
    assert not load.failures, f"{load.failures[:9]}\n{stack.compose('logs', '--no-color', '--tail=40', 'frontend')}"
    assert len(both) == 2
    assert min(both.values()) > max(both.values()) / 3, f"one of them gets nearly everything: {both}"
    stored = run(
        "docker", "compose", "-p", stack.project, "exec", "-T", "postgres",
        "psql", "-U", "docsearch", "-d", "docsearch", "-tAc", "SELECT json_agg(title) FROM documents",
    )  # fmt: skip
    assert Counter(json.loads(stored)) == Counter(load.acknowledged), "lost, or stored twice"
    assert load.slowest < 5, "nobody waits for long"
