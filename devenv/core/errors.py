"""Every error that devenv raises on purpose, and the exit code that each one ends the program with.

DevenvError                    1  something devenv was asked to do failed
├── UsageError                 2  the command line, devenv.toml or an environment variable is wrong
├── EngineUnreachable          3  no Docker Engine answers
│   └── EngineForbidden        4  an engine is there, but this user may not talk to it
├── ProjectError               5  no Compose project here, or its files are invalid
├── PortTaken                  6  a published port is in use by somebody else
├── ServiceFailed              7  a service is unhealthy, crashed, or loops
├── WaitTimeout                8  time ran out before everything was up
├── ToolMissing                9  docker, Compose or another program is not installed or too old
├── Refused                   10  the guard did not allow the change, or the user did not confirm it
├── FindingsFound             11  a check of files found something that has to be corrected or excused
├── Inconclusive              12  nothing was found, but a part could not be checked
├── InternalError             70  devenv itself has a fault (EX_SOFTWARE of sysexits.h)
└── KubeError                  1  a cluster refused or failed (devenv/backends/kube/errors.py)
    ├── Unreachable           13  no API server answers at the kubeconfig's address
    ├── Unauthorized           4  the cluster does not accept the kubeconfig's credentials
    ├── Forbidden              4  the cluster's RBAC rules do not allow it
    └── BadKubeconfig          2  the kubeconfig is missing, broken, or has no such context

`devenv deploy` exits with 14 when it failed and went back to what served before (EXIT_ROLLED_BACK), with 7 when it
failed and did not. A program ended with ctrl-c exits with 130, as shells expect.
"""

from __future__ import annotations

from typing import ClassVar

EXIT_OK = 0
EXIT_NO_PERMISSION = 4
EXIT_NO_CLUSTER = 13
EXIT_ROLLED_BACK = 14  # a deployment failed, and what ran before serves again
EXIT_INTERRUPTED = 130


class DevenvError(Exception):
    """A failure that is shown to the user as a message and a hint, never as a traceback."""

    exit_code: ClassVar[int] = 1
    title: ClassVar[str] = "failed"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.also: tuple[DevenvError, ...] = ()  # what failed beside it, with hints of their own


class UsageError(DevenvError):
    """The command line, devenv.toml or a DEVENV_ variable is wrong; names the file and the key."""

    exit_code = 2
    title = "usage"


class PatternTooSlow(UsageError):
    """A pattern took too long on one line of a log: it backtracks without end."""


class EngineUnreachable(DevenvError):
    """No Docker Engine answers at the endpoint that the docker CLI would use."""

    exit_code = 3
    title = "engine unreachable"


class EngineForbidden(EngineUnreachable):
    """The engine's socket is there, but this user may not open it."""

    exit_code = EXIT_NO_PERMISSION
    title = "permission denied"


class ProjectError(DevenvError):
    """No Compose project was found, or Compose rejects its files."""

    exit_code = 5
    title = "invalid project"


class PortTaken(DevenvError):
    """A port that the project publishes is in use; names the process where it can be known."""

    exit_code = 6
    title = "port in use"


class ServiceFailed(DevenvError):
    """A service is unhealthy, exited with an error or restarts for ever; carries its last words."""

    exit_code = 7
    title = "service failed"


class WaitTimeout(DevenvError):
    """Time ran out; says what was still waited for and why."""

    exit_code = 8
    title = "timed out"


class ToolMissing(DevenvError):
    """A program that devenv needs is not installed or too old."""

    exit_code = 9
    title = "missing tool"


class Refused(DevenvError):
    """The guard did not allow the change, or the user did not confirm it."""

    exit_code = 10
    title = "refused"


class FindingsFound(DevenvError):
    """A check of manifests or secrets has findings; they were printed as the command's data."""

    exit_code = 11
    title = "findings"


class Inconclusive(DevenvError):
    """A check found nothing, but could not look everywhere; says where it did not look."""

    exit_code = 12
    title = "inconclusive"


class InternalError(DevenvError):
    """An exception that nobody foresaw; says where its traceback was written."""

    exit_code = 70
    title = "fault in devenv"


class Interrupted(DevenvError):
    """The user ended it before it was done; says what state things were left in."""

    exit_code = EXIT_INTERRUPTED
    title = "interrupted"
