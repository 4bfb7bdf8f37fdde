"""The `[scan]` table of devenv.toml: which vulnerabilities `devenv scan` lets pass (docs/SECURITY.md).

[scan]
severity = "high"            # the least that fails: low, medium, high, critical; what nobody rated fails too
fixable_only = false         # true: only what a newer version mends fails
locks = ["requirements.lock"] # pip's lock files

[[scan.allow]]               # one that does not fail until a day
id = "CVE-2026-12345"        # or one of its other names (GHSA-..., PYSEC-...)
package = "openssl"          # empty: in whatever package
expires = 2027-01-31         # the last day on which it holds; after it, it fails by itself
reason = "the affected call is not made; upstream mends it in January"
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from devenv.core.toml import Table, Text

Severity = Literal["low", "medium", "high", "critical"]
_Day = Annotated[datetime.date, msgspec.Meta(description="a date without quotes, as 2027-01-31")]


class Exemption(Table, frozen=True):
    """A vulnerability that does not fail until a day."""

    id: Text
    expires: _Day
    reason: Text
    package: str = ""


class ScanSettings(Table, frozen=True):
    """All of `[scan]`."""

    severity: Severity = "high"
    fixable_only: bool = False
    locks: tuple[Path, ...] = ()
    allow: tuple[Exemption, ...] = ()
