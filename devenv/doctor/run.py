"""Runs every check in parallel; one that breaks is a finding, not a crash."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from devenv.backends.programs import CommandFailed
from devenv.core.errors import DevenvError, EngineUnreachable, ProjectError, ToolMissing
from devenv.doctor import clock, configs, disk, engine, memory, origin, ports, project, tools
from devenv.doctor.context import Context
from devenv.doctor.report import Finding, Level

Check = Callable[[Context], Finding]
CHECKS: tuple[tuple[str, Check], ...] = (
    ("docker-cli", tools.check_docker),
    ("compose", tools.check_compose),
    ("buildx", tools.check_buildx),
    ("engine", engine.check),
    ("clock", clock.check),
    ("memory", memory.check),
    ("disk", disk.check),
    ("project", project.check),
    ("ports", ports.check),
    ("docker-config", configs.check_docker),
    ("kubeconfig", configs.check_kubernetes),
    ("origin", origin.check),
)
_PLUGINS = {"compose": ("docker-cli",), "buildx": ("docker-cli",)}  # what does not work where docker does not
# Which check an error belongs to, whichever meets it: the first of them that failed tells it.
_OWNERS: tuple[tuple[type[DevenvError], tuple[str, ...]], ...] = (
    (ToolMissing, ("docker-cli", "compose")),
    (CommandFailed, ("docker-cli",)),
    (EngineUnreachable, ("engine",)),
    (ProjectError, ("project",)),
)


def run_checks(context: Context, checks: Sequence[tuple[str, Check]] = CHECKS) -> tuple[Finding, ...]:
    """Run the checks at once and return their findings in the order of the list.

    What a check could not look at since it met the failure of another one is told by that one alone.
    """
    errors: dict[str, DevenvError] = {}

    def run(entry: tuple[str, Check]) -> Finding:
        name, check = entry
        try:
            return check(context)
        except DevenvError as error:
            errors[name] = error
            return Finding(name, Level.FAILED, error.message, error.hint)
        except Exception as error:  # noqa: BLE001  # a broken check must not hide the others
            return Finding(name, Level.FAILED, f"the check itself broke: {error!r}", "Please report this.")

    with ThreadPoolExecutor(max_workers=len(checks), thread_name_prefix="doctor") as pool:
        findings = list(pool.map(run, checks))
    failed = {finding.check: finding.message for finding in findings if finding.level is Level.FAILED}

    def cause(finding: Finding) -> str:
        owners = (names for kind, names in _OWNERS if isinstance(errors.get(finding.check), kind))
        same = (name for name, message in failed.items() if message == finding.message)
        return next(
            (name for name in (*_PLUGINS.get(finding.check, ()), *next(owners, ()), *same) if name in failed),
            finding.check,
        )

    return tuple(
        finding
        if finding.check not in failed or cause(finding) == finding.check
        else Finding(finding.check, Level.UNKNOWN, f"not checked: see {cause(finding)}")
        for finding in findings
    )
