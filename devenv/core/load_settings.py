"""The `[load]` table of devenv.toml: what load tests ask of the project.

[load]
tests = "loadtests"                              # the folder that `locust -f` is given
service = "frontend"                             # where requests go: a Compose service, a Deployment and its Service
port = 3000                                      # the container's; default: the only one that is published
path = "/health"                                 # answers 2xx when the target serves
thresholds = ["search:p95<200", "fail_ratio<0.01"]   # what --threshold adds to
warm_up = 10                                     # seconds before thresholds are looked at
"""

from __future__ import annotations

from dataclasses import dataclass

from devenv.core.toml_table import Table

TESTS = "loadtests"
WARM_UP = 10.0  # seconds: pools fill and caches warm; what is slow then is not what users meet all day


@dataclass(frozen=True, slots=True)
class LoadSettings:
    """All of `[load]`; "" and 0 mean that the file does not say."""

    tests: str = TESTS
    service: str = ""
    port: int = 0
    path: str = "/"
    thresholds: tuple[str, ...] = ()
    warm_up: float = WARM_UP


def read_load(table: Table) -> LoadSettings:
    """Read the table; raises UsageError that names the file and the key."""
    settings = LoadSettings(
        tests=table.text("tests") or TESTS,
        service=table.text("service"),
        port=table.whole("port", 0),
        path=table.text("path") or "/",
        thresholds=table.texts("thresholds"),
        warm_up=table.seconds("warm_up", WARM_UP),
    )
    table.finish()
    return settings
