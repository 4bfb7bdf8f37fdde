"""Do the engine's clock and this machine's agree? After a laptop slept, a virtual machine's often is behind."""

from __future__ import annotations

from devenv.doctor.context import Context
from devenv.doctor.report import Finding, Level

TOLERATED = 2.0  # seconds: above it, ages, log times and "since" filters visibly lie


def check(context: Context) -> Finding:
    """The difference of the clocks, in seconds."""
    skew = context.engine().clock_skew
    if skew is None:
        return Finding("clock", Level.UNKNOWN, "The engine does not tell its time")
    if abs(skew) > TOLERATED:
        ahead = "ahead of" if skew > 0 else "behind"
        return Finding(
            "clock",
            Level.WARNING,
            f"The engine's clock is {abs(skew):.0f} s {ahead} this machine's",
            "Restart the engine's virtual machine, or synchronize its clock.",
        )
    return Finding("clock", Level.OK, f"The engine's clock agrees within {TOLERATED:.0f} s")
