"""Projects as Compose would describe them, on a folder of the test; and an engine that has what it is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devenv.backends.docker.plain import EngineImage
from devenv.builds.definition import Definition, read_definitions
from devenv.builds.graph import Graph
from devenv.builds.key import KeyReader, Reading
from devenv.builds.plan import BuildPlan, labels_for, make_plan
from devenv.builds.record import write_record
from devenv.builds.store import Store


@dataclass
class Sandbox:
    """A project's folder. `services` are Compose's mappings, `images` what the engine has."""

    folder: Path
    services: dict[str, dict[str, Any]] = field(default_factory=dict)
    images: dict[str, EngineImage] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=dict)

    def write(self, name: str, text: str = "") -> Path:
        """Write a file of the project."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text or name)
        return path

    def service(self, name: str, dockerfile: str = "FROM base:1\nCOPY . /\n", **build: Any) -> None:
        """Declare a service with a Dockerfile in the folder of its name."""
        self.write(f"{name}/Dockerfile", dockerfile)
        self.services[name] = {"build": {"context": str(self.folder / name), "dockerfile": "Dockerfile", **build}}

    @property
    def store(self) -> Store:
        """Where the project keeps what it knows."""
        return Store(self.folder)

    def definitions(self) -> dict[str, Definition]:
        """Return the definitions as Compose's form gives them."""
        return read_definitions({"name": "shop", "services": self.services}, self.environ)

    def reader(self) -> KeyReader:
        """Return a new reader, as each call of devenv has one."""
        return KeyReader(self.definitions(), self.images, self.store)

    def graph(self) -> Graph:
        """Return the graph."""
        depends_on = {name: tuple(body.get("depends_on", ())) for name, body in self.services.items()}
        return self.reader().graph(depends_on)

    def read(self, service: str, keys: Mapping[str, str] | None = None) -> Reading:
        """Read one service."""
        return self.reader().read(service, self.graph(), keys or {})

    def key(self, service: str) -> str:
        """Return the key of one service."""
        return self.plan(service).step(service).key

    def plan(self, *services: str, **forced: str) -> BuildPlan:
        """Return the plan for these services, or all."""
        reader, graph = self.reader(), self.graph()
        plan = make_plan(reader, graph, services or graph.services, forced)
        reader.save()
        return plan

    def build(self, *services: str, seconds: float = 1.0) -> list[str]:
        """Do what the plan says, as far as an engine would show it; return what was built."""
        plan = self.plan(*services)
        for step in plan.to_build:
            for name in step.images:
                self.have(name, labels_for(step.service, step.key))
            bases = {
                base: self.images[self.definitions()[base].images[0]].id for base in plan.graph.bases(step.service)
            }
            write_record(self.store, step.service, step.reading, at=1.0, seconds=seconds, bases=bases)
        return [step.service for step in plan.to_build]

    def have(self, name: str, labels: Mapping[str, str] | None = None) -> None:
        """Put an image into the engine."""
        self.images[name] = EngineImage(f"sha256:{len(self.images)}{name}", (name,), (), labels or {})
