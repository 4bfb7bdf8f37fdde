"""The options that devenv adds to Locust's; workers get their values from the master."""

from __future__ import annotations

import argparse
import difflib
import math
from collections.abc import Iterator, Sequence
from typing import Any

from locust import User, events

from devenv.core.errors import UsageError
from devenv.load.figures import EXAMPLES
from devenv.load.shapes import LENGTHS, NAMES, OPEN_BY_DEFAULT
from devenv.load.users import Person


@events.init_command_line_parser.add_listener
def add_options(parser: Any) -> None:
    """Add them; the first ones are in the web UI's form too."""
    add = parser.add_argument
    users = next(action for action in parser._actions if action.dest == "user_classes")  # Locust gives it no type
    users.type = _user_class
    add(
        "--shape",
        choices=NAMES,
        default="",
        help="how the load changes over time (default: the locustfile's LoadTestShape, else steady)",
    )
    add(
        "--model",
        choices=("auto", "open", "closed"),
        default="auto",
        help="open: requests come at a constant rate, answered or not; closed: each user waits for its answer; "
        f"auto (default): open for the shapes {', '.join(OPEN_BY_DEFAULT)}",
    )
    add("--rate", type=float, default=1.0, metavar="R", help="open model: requests a second of each user (default 1)")
    add("--seed", type=int, default=1, help="the same seed sends the same requests (default 1)")
    add(
        "--threshold",
        action="append",
        default=[],
        metavar="T",
        help=f"exit code 99 when it is breached; may be repeated. {EXAMPLES}".replace("%", "%%"),
    )

    def hidden(*names: str, **options: Any) -> None:
        add(*names, include_in_web_ui=False, **options)

    hidden("--target", default="", metavar="WHAT", help="compose (default without --host), kubernetes, or a URL")
    hidden("--host-header", default="", metavar="NAME", help="Host header of every request, for an ingress")
    hidden("--abort-on-threshold", action="store_true", help="end the run at once when a threshold is breached")
    hidden("--warm-up", type=float, default=None, metavar="S", help="seconds that thresholds leave out (default 10)")
    hidden("--replicas", type=int, default=0, metavar="N", help="--shape hpa: replicas to reach (default: the maximum)")
    hidden("--record", default="", metavar="DIR", help="folder of recording and reports (default: the state folder)")


def is_open(options: Any, users: Sequence[type]) -> bool:
    """Whether requests arrive by a schedule; raises UsageError where they shall and the users know none."""
    can = all(issubclass(kind, Person) for kind in users)
    if options.model == "open" and not can:
        raise UsageError("--model open needs user classes with visits", "Derive them from devenv.load.users.Person.")
    return can and (options.model == "open" or (options.model == "auto" and options.shape in OPEN_BY_DEFAULT))


def check(options: Any) -> None:
    """Raise UsageError that says what is wrong with the values."""
    limits = {
        "users": (options.num_users, 1, math.inf),
        "spawn-rate": (options.spawn_rate, 1e-9, math.inf),
        "run-time": (options.run_time, 1, math.inf),
        "rate": (options.rate, 1e-9, 1000),
        "warm-up": (options.warm_up, 0, math.inf),
    }
    for name, (value, least, most) in limits.items():
        if value is not None and not least <= float(value) <= most:
            bound = f"at least {least:g}" if least >= 1 else "0 or more" if least == 0 else "above 0"
            more = f" and at most {most:g}" if most < math.inf else ""
            raise UsageError(f"--{name} must be {bound}{more}, not {value:g}")
    length = run_length(options)
    if options.warm_up and length and options.warm_up >= length:
        raise UsageError(f"--warm-up {options.warm_up:g} leaves nothing of a run of {length:g} s")


def run_length(options: Any) -> float | None:
    """Return the seconds that the run shall last; None where that depends on what is measured."""
    return float(options.run_time or LENGTHS[options.shape]) if options.shape in LENGTHS else None


def _user_class(name: str) -> str:
    """Accept the name of a user class that a locustfile has."""
    names = sorted({kind.__name__ for kind in _subclasses(User) if kind.abstract is False})
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, 1)
    hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(names)}."
    raise argparse.ArgumentTypeError(f"there is no user class {name!r}. {hint}")


def _subclasses(kind: type[User]) -> Iterator[type[User]]:
    for subclass in kind.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)
