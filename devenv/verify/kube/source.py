"""What is verified on Kubernetes: which cluster, which namespace, which overlay; and whether it may be touched."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import Forbidden, KubeError
from devenv.backends.kube.kinds import NODES
from devenv.backends.kube.kubeconfig import Target, find_target
from devenv.core.errors import Refused
from devenv.core.settings import Config
from devenv.core.verify_settings import KubeVerifySettings
from devenv.verify.kube.images import on_nodes
from devenv.verify.kube.overlay import Object, is_kustomization, overlay_folder, read_overlay


@dataclass(frozen=True, slots=True)
class KubeSource:
    """The project and the cluster. `images` are those that a flag or devenv.toml gives instead of the overlay's.

    `tested` is the overlay to test: the flag's, devenv.toml's, or the project's folder itself; "" where there is none.
    """

    config: Config
    target: Target
    client: KubeClient
    root: Path
    environ: Mapping[str, str]
    images: Mapping[str, str] = field(default_factory=dict)
    tested: str = ""

    @property
    def settings(self) -> KubeVerifySettings:
        """What devenv.toml says below [verify.kubernetes]."""
        return self.config.verify.kubernetes

    def overlay(self, name: str) -> list[Object]:
        """Render an overlay; raises UsageError, ProjectError or ToolMissing."""
        return read_overlay(overlay_folder(self.config, name, self.root), self.environ)

    def present(self) -> list[str]:
        """Return the images that the nodes have; none where they may not be read, or do not tell all that they have."""
        try:
            nodes, _ = self.client.list(NODES)
        except Forbidden:
            return []
        return on_nodes(nodes)


def locate_kube(
    folder: Path,
    config: Config,
    environ: Mapping[str, str] = os.environ,
    images: Mapping[str, str] | None = None,
    overlay: str = "",
) -> KubeSource:
    """Find the project of a folder and its cluster, and ask whether that answers. `overlay` is what a flag names.

    Raises UsageError, BadKubeconfig, Refused for a context that is not on the allow-list, and Unreachable.
    """
    target = find_target(config.kubernetes, environ)
    name = target.context.name
    if config.read_only:
        raise Refused("smoke tests change what they test: devenv is read-only here", "Unset read_only.")
    if not config.kubernetes.may_change(name):
        raise Refused(
            f"the context {name} is not one that tests may change",
            f'Choose another with --context, or allow it in devenv.toml: [kubernetes] allow = ["{name}"].',
        )
    client = KubeClient(target, environ)
    try:
        client.get("/version")
    except KubeError:
        client.close()
        raise
    chosen = {**config.verify.kubernetes.images, **(images or {})}
    root = config.root or folder
    tested = overlay or config.verify.kubernetes.overlay or ("." if is_kustomization(root) else "")
    return KubeSource(config, target, client, root, environ, chosen, tested)
