"""The part of devenv.toml about Kubernetes manifests: folders, what they are for, intended differences.

[manifests]                  # what `devenv manifests` and `devenv secrets` check
kubernetes_versions = []     # minors, as "1.36"; empty: the last three that are known

[manifests.overlays.staging] # one table a Kustomize folder
path = "k8s/overlays/staging"
environment = "staging"      # development, staging, production; over what its kustomization.yaml declares

[manifests.probes.liveness]  # what HTTP probes have to say; startup, liveness, readiness; each key is optional
path = "/health"
initial_delay = 30           # seconds
period = 10                  # seconds
failures = 3

[manifests.autoscaling]      # what HPAs aim at, per cent of the requests; 0: not compared
cpu = 70
memory = 80

[manifests.compose]
workloads = { db = "postgres" }  # a Compose service whose workload has another name

[[manifests.compose.allow]]  # a difference between Compose and Kubernetes that is intended
rule = "compose-limits"
service = "backend"
item = "memory"              # empty: every item of that rule and service
overlays = ["staging"]       # empty: all
reason = "staging runs on smaller nodes"
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from msgspec import field
from msgspec.structs import force_setattr, replace

from devenv.core.toml import Number, Seconds, Table, Text

Environment = Literal["", "development", "staging", "production"]
ProbeName = Literal["startup", "liveness", "readiness"]


class OverlaySettings(Table, frozen=True):
    """One Kustomize folder, and what it is for; an empty environment leaves that to its kustomization."""

    path: Path = field(default_factory=Path)
    environment: Environment = ""


class ProbeSettings(Table, frozen=True):
    """What an HTTP probe has to say; empty or None: anything."""

    path: str = ""
    initial_delay: Seconds | None = None
    period: Seconds | None = None
    failures: Number | None = None


class Allowance(Table, frozen=True):
    """A difference between Compose and Kubernetes that is intended."""

    rule: Text
    service: Text
    reason: Text
    item: str = ""
    overlays: tuple[str, ...] = ()


class ComposeComparison(Table, frozen=True):
    """Where the Compose project and the manifests may differ."""

    workloads: dict[str, str] = field(default_factory=dict)
    allow: tuple[Allowance, ...] = ()


class ManifestSettings(Table, frozen=True):
    """What is declared about the Kubernetes manifests."""

    versions: tuple[str, ...] = field(name="kubernetes_versions", default=())
    overlays: dict[str, OverlaySettings] = field(default_factory=dict)
    probes: dict[ProbeName, ProbeSettings] = field(default_factory=dict)
    autoscaling: dict[Literal["cpu", "memory"], Number] = field(default_factory=dict)
    compose: ComposeComparison = ComposeComparison()

    def __post_init__(self) -> None:
        """Leave out what is not compared."""
        force_setattr(self, "autoscaling", {name: policy for name, policy in self.autoscaling.items() if policy})

    def below(self, root: Path) -> ManifestSettings:
        """Return the same where an overlay without a path is the folder `root`."""
        overlays = {name: replace(item, path=root / item.path) for name, item in self.overlays.items()}
        return replace(self, overlays=overlays)
