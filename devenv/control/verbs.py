"""The verbs that change a Compose project: what each does and takes away, and its command line of Compose."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from devenv.control.protocol import Plan
from devenv.core.model import Project


class Verb(Struct, frozen=True):
    """`what` says it in a person's words; `command` are Compose's, where it has no verb of that name.

    `takes_away` is asked about first; `removes`: containers go, with what was written into them and in no volume.
    """

    what: str
    command: tuple[str, ...] = ()
    takes_away: bool = False
    removes: bool = False
    needs_files: bool = False  # it can do nothing where the project is known by its labels alone


VERBS: Final = {
    "up": Verb("Creates and starts {targets}; changed containers are replaced.", ("up", "--detach"), needs_files=True),
    "down": Verb("Stops and removes the containers of {targets} and their networks.", takes_away=True, removes=True),
    "restart": Verb("Stops and starts {targets}: connections break for a moment."),
    "stop": Verb("Stops {targets}; the containers stay."),
    "start": Verb("Starts the existing containers of {targets}."),
    "pause": Verb("Freezes the processes of {targets}; nothing of them answers until they go on."),
    "unpause": Verb("Lets the processes of {targets} go on."),
    "kill": Verb(
        "Sends {signal} to the processes of {targets}, and does not wait until they have ended well.", takes_away=True
    ),
    "rm": Verb(
        "Stops and removes the containers of {targets}.", ("rm", "--force", "--stop"), takes_away=True, removes=True
    ),
    "recreate": Verb(
        "Replaces the containers of {targets} by new ones.",
        ("up", "--detach", "--force-recreate", "--no-deps"),
        takes_away=True,
        removes=True,
        needs_files=True,
    ),
    "scale": Verb(
        "Changes the number of containers of {targets} to {replicas}.",
        ("up", "--detach", "--no-deps", "--no-recreate"),
        takes_away=True,  # until it is known that it takes none
        needs_files=True,
    ),
    "pull": Verb("Pulls the images of {targets}; running containers keep their old ones.", needs_files=True),
    "build": Verb("Builds the images of {targets}; running containers keep their old ones.", needs_files=True),
    "run": Verb("Runs a command in a new container of {targets}.", needs_files=True),
    "prune": Verb("Removes what {targets} left over and nothing uses.", takes_away=True),
    "exec": Verb("Runs a command in a container of {targets}: what it does there is not seen by devenv."),
    "cp": Verb("Copies files between a container of {targets} and this machine."),
    "sync": Verb("Writes what is saved here into the containers of {targets}, and deletes there what is deleted here."),
}
SIGNALS: Final = ("KILL", "TERM", "INT", "QUIT", "HUP", "USR1", "USR2")
HARMLESS: Final = frozenset({"HUP", "USR1", "USR2"})  # by convention they ask to read again, and end nothing


def sentence_of(verb: str, names: str, options: Mapping[str, str]) -> str:
    """Return what the verb does to what is named, with these options."""
    if verb == "rm" and options.get("stopped"):
        return f"Removes the containers of {names} that do not run; the others stay."
    signal, replicas = options.get("signal", "SIGKILL"), options.get("replicas", "")
    return VERBS[verb].what.format(targets=names, signal=signal, replicas=replicas)


def takes_away(plan: Plan) -> bool:
    """Whether the plan's verb, with its options, is one to ask about first."""
    if plan.verb == "kill":
        return plan.option("signal").upper().removeprefix("SIG") not in HARMLESS
    return VERBS[plan.verb].takes_away


def flags_of(plan: Plan) -> tuple[str, ...]:
    """Return Compose's verb for the plan, with its flags and without its targets."""
    words = list(VERBS[plan.verb].command or (plan.verb,))
    if plan.volumes:
        words.append("--volumes")
    if plan.option("all"):
        words.append("--remove-orphans")
    if plan.option("no_deps"):
        words.append("--no-deps")
    if signal := plan.option("signal"):
        words += ["--signal", signal]
    if replicas := plan.option("replicas"):
        words += [word for target in plan.targets for word in ("--scale", f"{target}={replicas}")]
    return tuple(words)


def command_line(plan: Plan, project: Project | None) -> str:
    """Return the plan as one would type it, for the audit log."""
    name = ["--project-name", project.name] if project is not None else []
    every = ["--profile", "*"] if plan.option("all") else []
    return shlex.join(["docker", "compose", *name, *every, *flags_of(plan), *plan.targets])
