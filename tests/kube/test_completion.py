"""What a shell completes of a cluster: contexts, namespaces, kinds and names."""

from __future__ import annotations

import argparse

import pytest

from devenv.cli import completion
from fakes.api_server import ApiServer, deployment


def test_contexts_namespaces_kinds_and_names(
    api: ApiServer, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", environ["KUBECONFIG"])
    api.put(deployment("web", "web:1"), deployment("worker", "worker:1"))
    nothing = argparse.Namespace(command="kube")

    def answers(name: str, prefix: str = "") -> list[str]:
        return completion.ANSWERS[name](nothing, prefix)

    assert answers("contexts") == ["minikube"]
    assert {"default", "kube-system"} <= set(answers("namespaces"))
    assert answers("objects", "deploy/w") == ["deploy/web", "deploy/worker"]
    assert answers("objects", "nothing/w") == []
    api.stop()
    assert answers("objects", "deploy/w") == [], "a cluster that is away says nothing"
