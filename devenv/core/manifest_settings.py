"""The part of devenv.toml about Kubernetes manifests: which folders there are, what they are for, what is meant.

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

[[manifests.compose.allow]]  # a difference between Compose and Kubernetes that is meant
rule = "compose-limits"
service = "backend"
item = "memory"              # empty: every item of that rule and service
overlays = ["staging"]       # empty: all
reason = "staging runs on smaller nodes"
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from devenv.core.errors import UsageError
from devenv.core.toml_table import Table

ENVIRONMENTS = ("development", "staging", "production")
_PROBES = ("startup", "liveness", "readiness")


@dataclass(frozen=True, slots=True)
class OverlaySettings:
    """One Kustomize folder, and what it is for; an empty environment leaves that to its kustomization."""

    name: str
    path: Path
    environment: str = ""


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """What an HTTP probe has to say; empty or None: anything."""

    path: str = ""
    initial_delay: float | None = None
    period: float | None = None
    failures: float | None = None


@dataclass(frozen=True, slots=True)
class Allowance:
    """A difference between Compose and Kubernetes that is meant."""

    rule: str
    service: str
    item: str
    overlays: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class ManifestSettings:
    """What is declared about the Kubernetes manifests."""

    versions: tuple[str, ...] = ()
    overlays: tuple[OverlaySettings, ...] = ()
    probes: Mapping[str, ProbeSettings] = field(default_factory=dict)
    autoscaling: Mapping[str, float] = field(default_factory=dict)
    workloads: Mapping[str, str] = field(default_factory=dict)
    allow: tuple[Allowance, ...] = ()


def read_manifests(table: Table, root: Path) -> ManifestSettings:
    """Read the table `[manifests]`; raises UsageError as `Table` does, and for an unknown environment or probe."""
    autoscaling, compose = table.table("autoscaling"), table.table("compose")
    settings = ManifestSettings(
        versions=table.texts("kubernetes_versions"),
        overlays=tuple(_overlay(name, inner, root) for name, inner in table.tables("overlays").items()),
        probes={name: _probe(name, inner) for name, inner in table.tables("probes").items()},
        autoscaling={key: value for key in ("cpu", "memory") if (value := autoscaling.seconds(key, 0.0))},
        workloads=compose.named_texts("workloads"),
        allow=tuple(_allowance(inner) for inner in compose.list_of_tables("allow")),
    )
    for inner in (autoscaling, compose, table):
        inner.finish()
    return settings


def _overlay(name: str, table: Table, root: Path) -> OverlaySettings:
    environment = table.text("environment")
    if environment and environment not in ENVIRONMENTS:
        raise UsageError(
            f"devenv.toml: manifests.overlays.{name}.environment is {environment!r}",
            f"Known: {', '.join(ENVIRONMENTS)}.",
        )
    overlay = OverlaySettings(name, root / table.text("path"), environment)
    table.finish()
    return overlay


def _probe(name: str, table: Table) -> ProbeSettings:
    if name not in _PROBES:
        raise UsageError(f"devenv.toml: there is no probe {name!r}", f"Known: {', '.join(_PROBES)}.")
    path = table.text("path")
    probe = ProbeSettings(path, *map(table.optional_seconds, ("initial_delay", "period", "failures")))
    table.finish()
    return probe


def _allowance(table: Table) -> Allowance:
    rule, service, item, reason = map(table.text, ("rule", "service", "item", "reason"))
    if not (rule and service and reason):
        raise UsageError(
            "devenv.toml: an entry of manifests.compose.allow has no rule, service or reason",
            "All three are needed: a difference that is meant has a reason.",
        )
    allowance = Allowance(rule, service, item, table.texts("overlays"), reason)
    table.finish()
    return allowance
