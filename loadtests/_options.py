"""The options that these load tests add to Locust's; workers get their values from the master."""

from __future__ import annotations

from typing import Any

from locust import events

from devenv.load.shapes import NAMES, OPEN_BY_DEFAULT
from devenv.load.thresholds import EXAMPLES


@events.init_command_line_parser.add_listener
def add_options(parser: Any) -> None:
    """Add them; the first ones are in the web UI's form too."""
    add = parser.add_argument
    add("--shape", choices=NAMES, default="steady", help="how the load changes over time (default steady)")
    add(
        "--model",
        choices=("auto", "open", "closed"),
        default="auto",
        help="open: requests arrive at a constant rate whatever becomes of them; closed: people wait for answers; "
        f"auto (default): open for the shapes {', '.join(OPEN_BY_DEFAULT)}",
    )
    add("--rate", type=float, default=1.0, metavar="R", help="open model: requests a second of each user (default 1)")
    add("--seed", type=int, default=1, help="documents, queries and the order of requests follow from it (default 1)")
    add("--documents", type=int, default=10_000, metavar="N", help="documents to load first (default 10000)")
    add("--collections", type=int, default=4, metavar="N", help="collections that they are spread over (default 4)")
    add(
        "--threshold",
        action="append",
        default=[],
        metavar="T",
        help=f"exit code 99 where it does not hold; may be repeated. {EXAMPLES}".replace("%", "%%"),
    )

    def hidden(*names: str, **options: Any) -> None:
        add(*names, include_in_web_ui=False, **options)

    hidden("--target", default="", metavar="WHAT", help="compose (default without --host), kubernetes, or a URL")
    hidden("--host-header", default="", metavar="NAME", help="Host header of every request, as an ingress wants it")
    hidden("--abort-on-threshold", action="store_true", help="end the run at once when a threshold is breached")
    hidden("--warm-up", type=float, default=None, metavar="S", help="seconds that thresholds leave out (default 10)")
    hidden("--visible-within", type=float, default=2.0, metavar="S", help="read-your-write: found by then (default 2)")
    hidden("--replicas", type=int, default=0, metavar="N", help="--shape hpa: replicas to reach (default: the maximum)")
    hidden("--record", default="", metavar="DIR", help="folder of recording and reports (default: the state folder)")


def is_open(options: Any) -> bool:
    """Whether requests arrive by a schedule."""
    return options.model == "open" or (options.model == "auto" and options.shape in OPEN_BY_DEFAULT)


def check(options: Any) -> str:
    """Return what is wrong with the values; "" where nothing is."""
    if not 0 < options.rate <= 1000:
        return f"--rate must be above 0 and at most 1000, not {options.rate:g}"
    if options.documents < 0 or options.documents > 1_000_000:
        return f"--documents must be 0 to 1000000, not {options.documents}"
    if not 1 <= options.collections <= 100:
        return f"--collections must be 1 to 100, not {options.collections}"
    if options.visible_within <= 0:
        return f"--visible-within must be above 0, not {options.visible_within:g}"
    if options.warm_up is not None and options.warm_up < 0:
        return f"--warm-up must be 0 or more, not {options.warm_up:g}"
    return ""
