"""Constant load on a Service, from a pod inside the cluster: no ingress controller and no port-forward takes part."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from devenv.verify.kube.cluster import Cluster, Conversation
from devenv.verify.waiting import VerificationFailed, wait_until

PROGRAM: Final = Path(__file__).with_name("load_program.py")
PATIENCE: Final = 10.0  # seconds for one request; whoever gives up earlier would hide a gap
ANSWER: Final = 30.0  # seconds for the program's own answers
LATE: Final = 0.5  # seconds; a node with a free processor sends within some milliseconds
MOST_RATE: Final = 50.0  # requests a second: a laptop's node serves them beside everything else


@dataclass(frozen=True, slots=True)
class Call:
    """One request of the load; `{n}` in path and body is a word of its own each time."""

    method: str
    path: str
    body: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """What was sent so far. `gap`: seconds from the first failed request to the first good one after the last.

    `late`: seconds that a request was sent after its time at most.
    """

    sent: int
    answered: int
    opened: int
    failures: int
    examples: tuple[str, ...]
    slowest: float
    late: float
    gap: float
    failing: bool
    acknowledged: tuple[str, ...] = ()

    @property
    def busy(self) -> str:
        """Why failures prove nothing: the node had no time for the load's own program; "" where it had."""
        return f"the node is too busy: requests were sent up to {self.late:.1f} s late" if self.late > LATE else ""

    def __str__(self) -> str:
        return f"{self.sent} sent, {self.answered} answered, {self.failures} failed: {'; '.join(self.examples[:5])}"


class Load:
    """Load that runs; `result` is there when the block has ended."""

    def __init__(self, talk: Conversation) -> None:
        self._talk = talk
        self.result: Progress | None = None

    def now(self) -> Progress:
        """Return the progress."""
        self._talk.tell("tell")
        return _read(self._talk.hear("now ", ANSWER))

    def wait(self, what: str, condition: Callable[[Progress], bool], timeout: float) -> Progress:
        """Wait until the progress is so; raises VerificationFailed."""
        __tracebackhide__ = True
        return wait_until(what, self.now, timeout, condition, every=0.25)

    def more(self, requests: int, timeout: float = 60.0) -> Progress:
        """Wait until so many more have been answered."""
        __tracebackhide__ = True
        begun = self.now().answered
        return self.wait(f"{requests} more answers", lambda seen: seen.answered >= begun + requests, timeout)

    def finish(self) -> Progress:
        """Stop, wait for the answers that are still to come, and return all."""
        if self.result is None:
            self._talk.tell("stop")
            self.result = _read(self._talk.hear("result ", ANSWER + PATIENCE))
        return self.result


@contextmanager
def constant_load(
    cluster: Cluster, pod: str, url: str, calls: Sequence[Call], *, rate: float, kept: int = 0
) -> Iterator[Load]:
    """Send requests from a pod until the block ends; raises VerificationFailed where its python3 does not begin.

    `kept` connections are used again in turn; 0: each request opens one.
    """
    if not 0 < rate <= MOST_RATE:
        raise ValueError(f"a rate of {rate:g} requests a second is not between 0 and {MOST_RATE:g}")
    order = {
        "url": url,
        "rate": rate,
        "kept": kept,
        "patience": PATIENCE,
        "calls": [{"method": call.method, "path": call.path, "body": call.body} for call in calls],
    }
    with cluster.converse(pod, "python3", "-c", PROGRAM.read_text("utf-8")) as talk:
        talk.tell(json.dumps(order))
        talk.hear("begun", ANSWER)
        load = Load(talk)
        yield load
        load.finish()


def _read(text: str) -> Progress:
    try:
        data: dict[str, Any] = json.loads(text)
    except ValueError as error:
        raise VerificationFailed("the load's progress", text[:300]) from error
    examples, acknowledged = tuple(data.pop("examples")), tuple(data.pop("acknowledged", ()))
    return Progress(**data, examples=examples, acknowledged=acknowledged)
