"""An API server for each test, a kubeconfig that names it, and a client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import devenv
from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.kubeconfig import Target, find_target
from devenv.core.kube_settings import KubeSettings
from fakes.api_server import ApiServer
from tests.kube.deploying import Deployer


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with ApiServer() as made:
        yield made


@pytest.fixture
def live(api: ApiServer) -> Iterator[ApiServer]:
    """The same with controllers and kubelets at work."""
    api.controllers.start(pace=0.02)
    yield api
    api.controllers.stop()


@pytest.fixture
def kubeconfig(api: ApiServer, tmp_path: Path) -> Path:
    return api.kubeconfig(tmp_path / "kubeconfig")


@pytest.fixture
def environ(kubeconfig: Path, tmp_path: Path) -> dict[str, str]:
    """An environment that knows this server and nothing of the machine's own clusters and proxies."""
    own = {"PYTHONPATH": str(Path(devenv.__file__).parents[1])}  # programs run this code, not an installed copy
    return {"KUBECONFIG": str(kubeconfig), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin", **own}


@pytest.fixture
def target(environ: dict[str, str]) -> Target:
    return find_target(KubeSettings(), environ)


@pytest.fixture
def make_client(environ: dict[str, str]) -> Iterator[Callable[..., KubeClient]]:
    """Make clients of this server: make_client(namespace="x", environ=...)."""
    made = []

    def make(namespace: str = "", environ: dict[str, str] = environ) -> KubeClient:
        made.append(KubeClient(find_target(KubeSettings(namespace=namespace), environ), environ))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(make_client: Callable[..., KubeClient]) -> KubeClient:
    return make_client()


@pytest.fixture
def deploy(client: KubeClient, tmp_path: Path) -> Deployer:
    return Deployer(client, tmp_path / "state")
