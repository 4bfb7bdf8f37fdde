"""Throw-away projects of the shipped stack: one for each variant that is compared, filled with the same documents.

Requests go to the containers' own addresses, past Docker's userland proxy, so this needs Linux.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from _corpus import Corpus
from _library import Library
from docker import APIClient

from benchmarks.stack import ROOT
from benchmarks.stack_mix import Request, mixed
from devenv.backends.docker.client import connect
from devenv.backends.docker.endpoint import resolve_endpoint
from devenv.load.target import Target
from devenv.runs.identity import begin_run

PORTS = {"backend": 8000, "frontend": 3000}
APPLICATIONS = {"backend": "docindexer.app:create_app", "frontend": "docfront.app:create_app"}
COLLECTIONS = 4
SEED = 1
IDLE = 10.0  # seconds: two health checks
REQUESTS = 4000  # different ones, sent again and again


@dataclass(frozen=True)
class Variant:
    """What is compared: a compose folder, the images' tag, and what differs in the services' environment and limits."""

    name: str
    folder: Path = ROOT / "compose"
    tag: str = "dev"
    postgres: bool = False
    environment: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    cpus: Mapping[str, float] = field(default_factory=dict)
    workers: Mapping[str, int] = field(default_factory=dict)  # processes; the services themselves start one


@dataclass(frozen=True, slots=True)
class Usage:
    """A container's counters; seconds and bytes."""

    cpu: float
    memory: float
    periods: int  # of the CPU limit that passed while something ran
    throttled: int  # those in which it was stopped


@dataclass
class RunningStack:
    """One variant that is up."""

    variant: Variant
    engine: APIClient
    containers: dict[str, str] = field(default_factory=dict)  # service to container id
    addresses: dict[str, str] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    idle: dict[str, float] = field(default_factory=dict)  # cores that a service uses without load, for health checks

    def rest(self, seconds: float) -> None:
        """Measure what the services use while nothing is asked."""
        before = {service: self.usage(service).cpu for service in self.containers}
        time.sleep(seconds)
        self.idle = {service: (self.usage(service).cpu - before[service]) / seconds for service in self.containers}

    def usage(self, service: str) -> Usage:
        """Read what a service has used since its start."""
        read: dict[str, Any] = self.engine.stats(self.containers[service], stream=False, one_shot=True)
        cpu, memory = read["cpu_stats"], read["memory_stats"]
        stats = memory.get("stats", {})
        # As `docker stats` counts: without the page cache that can be dropped (cgroup v1 and v2 name it differently).
        cache = stats.get("total_inactive_file", stats.get("inactive_file", 0))
        throttling = cpu["throttling_data"]
        return Usage(
            cpu["cpu_usage"]["total_usage"] / 1e9,
            memory["usage"] - cache,
            throttling["periods"],
            throttling["throttled_periods"],
        )

    def fill(self, documents: int) -> None:
        """Load the load tests' documents and make the requests that ask for them."""
        corpus = Corpus(SEED)
        target = Target("url", f"http://{self.addresses['frontend']}:{PORTS['frontend']}", self.variant.name)
        library = Library(target, begin_run())
        library.fill(corpus, documents, COLLECTIONS)
        self.requests = mixed(corpus, library.known(), REQUESTS)


@contextmanager
def running(variants: list[Variant], documents: int) -> Iterator[list[RunningStack]]:
    """Bring all variants up, fill them, and remove them in the end."""
    engine = connect(resolve_endpoint(os.environ))
    with ExitStack() as stacks:
        up = [stacks.enter_context(_up(variant, engine)) for variant in variants]
        for stack in up:
            stack.fill(documents)
        for stack in up:
            stack.rest(IDLE)
        yield up


@contextmanager
def _up(variant: Variant, engine: APIClient) -> Iterator[RunningStack]:
    project = f"devenv-bench-{os.getpid()}-{variant.name}"
    files = ["compose.yaml", *(["compose.postgres.yaml"] if variant.postgres else [])]
    with tempfile.TemporaryDirectory(prefix=project) as folder:
        override = Path(folder, "override.yaml")
        override.write_text(_override(variant))
        named = [part for name in files for part in ("-f", str(variant.folder / name))]
        command = ["docker", "compose", "-p", project, *named, "-f", str(override)]
        environ = {**os.environ, "RELOAD": "0", "IMAGE_TAG": variant.tag}
        if variant.postgres:
            made = subprocess.run([ROOT / "scripts/postgres-image"], check=True, stdout=subprocess.PIPE, text=True)
            environ["POSTGRES_IMAGE"] = made.stdout.strip()

        def compose(*arguments: str) -> str:
            done = subprocess.run([*command, *arguments], env=environ, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(f"{variant.name}: docker compose {arguments[0]} failed:\n{done.stderr}")
            return done.stdout

        try:
            compose("up", "-d", "--wait", "--no-build")
            stack = RunningStack(variant, engine)
            for service in (*PORTS, *(["postgres"] if variant.postgres else [])):
                stack.containers[service] = compose("ps", "-q", service).strip()
                networks = engine.inspect_container(stack.containers[service])["NetworkSettings"]["Networks"]
                stack.addresses[service] = next(iter(networks.values()))["IPAddress"]
            yield stack
        finally:
            compose("down", "-v", "-t", "5")


def _override(variant: Variant) -> str:
    lines = ["services:"]
    for service in PORTS:
        lines += [f"  {service}:", "    ports: !override []"]
        environment = dict(variant.environment.get(service, {}))
        lines.append(f"    environment: {json.dumps(environment)}")
        if service in variant.workers:
            served = ["--factory", APPLICATIONS[service], "--host", "0.0.0.0", "--port", str(PORTS[service])]
            command = ["python3", "-m", "uvicorn", *served, "--workers", str(variant.workers[service])]
            lines.append(f"    command: {json.dumps(command)}")
        if service in variant.cpus:
            lines.append(f'    deploy: {{resources: {{limits: {{cpus: "{variant.cpus[service]}"}}}}}}')
    return "\n".join(lines) + "\n"
