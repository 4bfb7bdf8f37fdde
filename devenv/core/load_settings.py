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

from devenv.core.toml import Seconds, Table, Whole

WARM_UP = 10.0  # seconds: pools fill and caches warm; what is slow then is not what users meet all day


class LoadSettings(Table, frozen=True):
    """All of `[load]`; "" and 0 mean that the file does not say."""

    tests: str = "loadtests"
    service: str = ""
    port: Whole = 0
    path: str = "/"
    thresholds: tuple[str, ...] = ()
    warm_up: Seconds = WARM_UP
