"""A small application to deploy to the API server in this process, and a prover whose answers a test chooses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from devenv.backends.kube.client import KubeClient
from devenv.control.deploy.outcome import Check, Outcome, Prover, Status
from devenv.control.deploy.pipeline import Deployment
from devenv.control.deploy.prepare import RenderedOverlay
from devenv.control.deploy.run import Options, Services
from devenv.control.kube.wait import Patience
from fakes.api_server import ApiServer, deployment

QUICK = Patience(timeout=8, pull=0.3, config=0.3, schedule=0.3, quota=0.3)
OK = (Check("web", Status.DONE, "answers"), Check("data kept", Status.DONE, "it is there"))


def application(image: str = "web:1", **spec: Any) -> list[dict[str, Any]]:
    """A platform part, configuration, a service and a workload."""
    platform = {"app.kubernetes.io/component": "platform"}
    content = deployment("web", image)
    content["spec"] |= spec
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default", "labels": platform}},
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "settings", "namespace": "default"},
            "data": {"image": image},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
        },
        content,
    ]


@dataclass
class ScriptedProver:
    """Answers what the test says, in turn; the last answer is repeated."""

    answers: list[tuple[Check, ...]] = field(default_factory=lambda: [OK])
    prepared: int = 0
    proven: list[str] = field(default_factory=list)
    closed: bool = False

    def prepare(self) -> Check:
        self.prepared += 1
        return Check("data before", Status.DONE, "written")

    def prove(self, objects: Sequence[Mapping[str, Any]]) -> tuple[Check, ...]:
        images = [
            item["spec"]["template"]["spec"]["containers"][0]["image"]
            for item in objects
            if item["kind"] == "Deployment"
        ]
        self.proven += images
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def close(self) -> None:
        self.closed = True


@dataclass
class Deployer:
    """Deploys objects with one client and one state folder, as one machine does."""

    client: KubeClient
    state: Path
    options: Options = field(default_factory=lambda: Options("shop", wait=True, patience=QUICK))
    prover: Callable[[], Prover] | None = None
    confirm: Callable[[Outcome], None] = lambda outcome: None
    waiting: Callable[[Any], None] = lambda waiting: None
    last: Deployment | None = None

    def __call__(self, objects: Sequence[dict[str, Any]], **options: Any) -> Outcome:
        rendered = RenderedOverlay(tuple(objects), "development", errors=options.pop("errors", ()))
        made = self.prover
        services = Services(
            client=self.client,
            render=lambda: rendered,
            state=self.state,
            prover=None if made is None else lambda objects, namespace: made(),
            confirm=self.confirm,
            waiting=self.waiting,
        )
        self.last = Deployment(replace(self.options, **options), services)
        return self.last.run()


def image_of(api: ApiServer) -> str:
    """The image that the live Deployment says."""
    content = api.get("deployments", "web")
    assert content is not None
    image: str = content["spec"]["template"]["spec"]["containers"][0]["image"]
    return image
