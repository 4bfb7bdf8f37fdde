"""Users for locustfiles: somebody who does one thing after another, or, in the open model, an arrival rate of it.

class Reader(Person):
    def visit(self, chance, due):
        self.call("GET", f"/page/{chance.randrange(10)}", "page", due)
"""

from __future__ import annotations

import itertools
import random
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import gevent
from gevent.pool import Group
from locust import FastHttpUser, events, task

from devenv.load.shapes import Punctuality, arrivals

IN_FLIGHT = 200  # requests of one user; more mean that the target does not answer at all
# Every so many requests of a user end their connection: people come and go, and without that no connection would ever
# lead to a replica that was added later.
STAYS = 20
punctuality = Punctuality()  # of this process
_born: Counter[str] = Counter()  # users of each class that this process has started
_GIVEN = "devenv_given"


def give(options: Any, values: Mapping[str, Any]) -> None:
    """Give plain values to the users of all processes; Locust sends them with the next spawn message, as an option."""
    setattr(options, _GIVEN, dict(values))


@events.test_start.add_listener
def _begin(environment: Any, **_: Any) -> None:
    _born.clear()
    punctuality.take()


class Person(FastHttpUser):
    """A user whose requests follow from the seed. Subclasses say what one visit is.

    `self.given` has what the steering process gave: `open`, `host_header`, and what the locustfile's data returned.
    """

    abstract = True
    connection_timeout = 5.0
    network_timeout = 10.0  # whoever gives up earlier would hide what was slow
    max_retries = 0  # a failure is a result
    concurrency = IN_FLIGHT
    thinks = (1.0, 3.0)  # seconds between two visits in the closed model, at least and at most

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.visit is Person.visit and not cls.__dict__.get("abstract"):
            raise TypeError(f"{cls.__name__} has no method visit(self, chance, due)")

    def on_start(self) -> None:
        """Take a place among the users of this class."""
        options = self.environment.parsed_options
        self.given: dict[str, Any] = getattr(options, _GIVEN)
        self.is_open = bool(self.given["open"])
        worker = getattr(self.environment.runner, "worker_index", 0)
        name = type(self).__name__
        self.place = f"{options.seed}/{name}/{worker}/{_born[name]}"
        _born[name] += 1
        self.flights = Group()
        self.sent = 0

    def on_stop(self) -> None:
        """Let nothing go on that belongs to this user."""
        self.flights.kill()

    @task
    def live(self) -> None:
        """Visit and think, for ever; in the open model visits begin when they are due."""
        if self.is_open:
            self._keep_schedule()
            return
        for number in itertools.count():
            chance = random.Random(f"{self.place}/{number}")
            self.visit(chance, None)
            gevent.sleep(chance.uniform(*self.thinks))

    def visit(self, chance: random.Random, due: float | None) -> None:
        """Do the one thing. `due` is when it should begin (time.perf_counter), None in the closed model."""

    def rest(self, chance: random.Random, least: float, most: float) -> None:
        """Pause as a person does within a visit; nobody pauses in the open model."""
        if not self.is_open:
            gevent.sleep(chance.uniform(least, most))

    def call(self, method: str, path: str, name: str, due: float | None = None, **options: Any) -> Any:
        """Send a request and return the parsed answer, None where it failed.

        With `due`, the time that is counted begins there: waiting for a connection is a part of it.
        """
        headers = {"Host": self.given["host_header"]} if self.given["host_header"] else {}
        self.sent += 1
        if self.sent % STAYS == 0:
            headers["Connection"] = "close"
        with self.client.request(method, path, name=name, catch_response=True, headers=headers, **options) as answer:
            if due is not None:
                answer.request_meta["response_time"] = 1000 * (time.perf_counter() - due)
            if answer.request_meta["exception"] is not None:
                return None
            try:
                return answer.json() if answer.content else {}
            except ValueError:
                answer.failure("the answer is not JSON")
                return None

    def _keep_schedule(self) -> None:
        began = time.perf_counter()
        for number, after in enumerate(arrivals(self.environment.parsed_options.rate, self.place)):
            due = began + after
            gevent.sleep(max(0.0, due - time.perf_counter()))
            if len(self.flights) >= IN_FLIGHT:
                punctuality.dropped += 1
                continue
            punctuality.sent(time.perf_counter() - due)
            self.flights.spawn(self.visit, random.Random(f"{self.place}/{number}"), due)
