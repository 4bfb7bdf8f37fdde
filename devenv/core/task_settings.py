"""The `[tasks]`, `[ci]` and `[cache]` tables of devenv.toml: commands of each package (docs/MONOREPO.md).

[tasks.lint]                                     # of every package: each service that is built, each folder they share
command = "ruff check ."                         # for /bin/sh, in the package's folder
packages = ["backend", "frontend"]               # only of these; default: all
inputs = ["src", "!src/gen", "//pyproject.toml"] # patterns as in .dockerignore; //: these too, from the project's root;
                                                 # default: all of the package's folder that Git does not ignore
outputs = ["dist"]                               # what it makes, kept with the result and put back
env = ["LOG_LEVEL", "VITE_*"]                    # variables that it sees and that count
pass_env = ["SSH_AUTH_SOCK"]                     # variables that it sees and that do not count
depends_on = ["lint", "^build", "backend#gen"]   # of this package; of those it is made from; of that one
cache = false                                    # it runs each time; default: true
persistent = true                                # it runs until it is ended, as a server does; default: false

[tasks."backend#lint"]                           # of one package, instead of [tasks.lint]; "//#lint": of the root
command = "ruff check src"

[ci.jobs.lint-backend]                           # a gate of a pull request, for `devenv ci pr` (docs/CI_CD.md)
tasks = ["backend#lint", "backend#types"]        # as `devenv run` takes them

[cache]
max_mib = 1024                                   # the oldest results of tasks go where they take more
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from devenv.core.toml import Table, Text

MAX_MIB = 1024


class TaskSettings(Table, frozen=True):
    """One table of `[tasks]`."""

    command: Text
    packages: tuple[Text, ...] = ()
    inputs: tuple[Text, ...] = ()
    outputs: tuple[Text, ...] = ()
    env: tuple[Text, ...] = ()
    pass_env: tuple[Text, ...] = ()
    depends_on: tuple[Text, ...] = ()
    cache: bool = True
    persistent: bool = False


class CacheSettings(Table, frozen=True):
    """All of `[cache]`."""

    max_mib: Annotated[int, msgspec.Meta(ge=1, le=2**30, description="a whole number of MiB, 1 or more")] = MAX_MIB


class JobSettings(Table, frozen=True):
    """One table of `[ci.jobs]`."""

    tasks: Annotated[tuple[Text, ...], msgspec.Meta(min_length=1, description="a list of tasks, at least one")]


class CiSettings(Table, frozen=True):
    """All of `[ci]`."""

    jobs: dict[str, JobSettings] = msgspec.field(default_factory=dict)
