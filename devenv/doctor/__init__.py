"""What is wrong with this machine or project, and how to mend it: one check a module, all run at once."""

from devenv.doctor.context import Context
from devenv.doctor.report import Finding, Level
from devenv.doctor.run import run_checks

__all__ = ["Context", "Finding", "Level", "run_checks"]
