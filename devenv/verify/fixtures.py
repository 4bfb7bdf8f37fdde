"""The fixtures of smoke tests."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from devenv.runs.criteria import Measurement, Verdict, criterion, judge
from devenv.verify.compose_driver import ComposeStack
from devenv.verify.engine import Engine
from devenv.verify.http import Endpoint, Writer
from devenv.verify.leftovers import TREES
from devenv.verify.own_engine import OwnEngine, why_not
from devenv.verify.session import INCONCLUSIVE, KUBERNETES, Session, suffix_of
from devenv.verify.waiting import EVERY, Never, VerificationFailed, wait_until

SESSION: pytest.StashKey[Session] = pytest.StashKey()
T = TypeVar("T")


@pytest.fixture(scope="session")
def verify_session(request: pytest.FixtureRequest) -> Session:
    """The run that this test belongs to: `verify_session.run.id`, its `report_folder` and its `settings`.

    Tests seldom need it; fixtures of a project's own do.
    """
    return request.config.stash[SESSION]


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest, verify_session: Session) -> str:
    """The name of what the test runs on, "compose" or "kubernetes".

    For a test with `@pytest.mark.targets("compose", "kubernetes")` that has to tell the two apart.
    """
    return str(getattr(request, "param", verify_session.config.option.devenv_target))


@pytest.fixture(scope="session")
def stack(verify_session: Session, target: str) -> Iterator[Any]:
    """The stack that all tests share, up and healthy: an isolated copy, or with --devenv-running what is up.

    A test that uses it leaves it as it was. `stack.endpoint("web").get("/health")`, `stack.services`,
    `stack.wait_healthy()`. Its first use builds and starts it; it is removed when the last test has ended.
    """
    environments: Any = verify_session.kube_environments() if target == KUBERNETES else verify_session.environments()
    running = verify_session.config.option.devenv_running
    made = environments.running() if running else environments.isolated()
    try:
        if running:
            made.wait_healthy()
        else:
            made.first_up = made.up(build=True)
        verify_session.note_subjects(made)
        yield made
    except Exception as error:
        verify_session.note_subjects(made)
        verify_session.explain_start(error, "the shared stack")  # now: a moment later there is nothing to be seen
        raise
    finally:
        environments.remove(made)


@pytest.fixture
def isolated_stack(stack: ComposeStack) -> Iterator[ComposeStack]:
    """The shared stack for a test that breaks something: never the one that somebody works with, mended afterwards.

    `isolated_stack.stop("web")`, `.restart()`, `.down(volumes=True)`, `.up()`. With --devenv-running, where what is
    up would be harmed, the test is inconclusive.
    """
    if not stack.isolated:
        pytest.skip(f"{INCONCLUSIVE}it needs an isolated copy, and --running tests what is up")
    if stack.persistence is not None:
        stack.persistence.forget()  # an earlier test may have lost what was prepared, and that would be its failure
    yield stack
    if not stack.is_well():
        stack.mend()


@pytest.fixture
def fresh_stack(verify_session: Session) -> Iterator[Callable[..., ComposeStack]]:
    """Make a stack of the test's own, which is removed at its end: `stack = fresh_stack()` builds and starts one.

    `fresh_stack(override={"services": {"web": {"environment": {"MODE": "x"}}}})` merges one more Compose file,
    `edit=function` changes the copied folder before, `up=False` only builds, `build=False` does not even that. It costs
    a whole start each time; with --devenv-running the test is inconclusive.
    """
    if verify_session.config.option.devenv_running:
        pytest.skip(f"{INCONCLUSIVE}it needs an isolated copy, and --running tests what is up")
    environments = verify_session.environments()
    made: list[ComposeStack] = []

    def make(
        up: bool = True,
        build: bool = True,
        override: Mapping[str, Any] | None = None,
        edit: Callable[[Path], None] | None = None,
    ) -> ComposeStack:
        stack = environments.isolated(override, edit)
        made.append(stack)
        if up:
            stack.up(build=build)
            verify_session.note_subjects(stack)
        elif build:
            stack.build()
        return stack

    try:
        yield make
    finally:
        for item in made:
            environments.remove(item)


@pytest.fixture
def endpoint(stack: ComposeStack) -> Callable[[str], Endpoint]:
    """Return an address of the shared stack by its name: `endpoint("web").get("/health").status_code == 200`.

    Names are those of [[verify.endpoint]] in devenv.toml, else each service with one published port. `.get`, `.post`
    and `.request` return httpx's responses, `.probe()` never raises, `.wait_served(10)` waits. Ports are asked for at
    each call, so that an address holds when its container is started anew.
    """
    return stack.endpoint


@pytest.fixture
def engine(stack: ComposeStack) -> Engine:
    """The containers of the shared stack as the engine sees them: `engine.container("web").health == "healthy"`.

    `.exec("web", "id", "-u")`, `.logs("web")`, `.inspect("web")`, `.limits("web")`; what happened and when with
    `.now()`, `.wait_event("die", "web", since=...)` and `.wait_health(...)`; and `.kill`, `.stop`, `.signal_main`, for
    `isolated_stack.engine`. On Kubernetes it is the namespace, with the same names.
    """
    return stack.driver.engine


@pytest.fixture
def writer() -> Iterator[Callable[[ComposeStack], Writer]]:
    """Write to a stack in the background for as long as the test runs: `written = writer(isolated_stack)`.

    How is said in devenv.toml, [verify.persistence]; without it the test is inconclusive. `written.acknowledged` has
    the words that were taken, and `written.lost()` those that are not found again: `assert written.lost() == []`.
    """
    made: list[Writer] = []

    def start(stack: ComposeStack) -> Writer:
        if stack.persistence is None:
            pytest.skip(f"{INCONCLUSIVE}devenv.toml has no [verify.persistence]")
        made.append(Writer(stack.persistence))
        return made[-1].start()

    try:
        yield start
    finally:
        for item in made:
            item.stop()


@pytest.fixture
def wait_for() -> Callable[..., Any]:
    """Wait until a function returns something true, and return that: `wait_for("the page", check, 10)`.

    The third argument is the limit in seconds. Exceptions of the function count as "not yet". The failure says what was
    expected, what was seen last, and how often it was tried.
    """

    def wait(
        what: str, probe: Callable[[], T], timeout: float, *, every: float = EVERY, stack: ComposeStack | None = None
    ) -> T:
        __tracebackhide__ = True
        if stack is not None:
            stack.mark(f"wait for {what}")
        return wait_until(what, probe, timeout, every=every)

    return wait


class Measure:
    """Records values of criteria for one test."""

    def __init__(self, session: Session, budgets: Mapping[str, float], test: str, suffix: str = "") -> None:
        self._suffix = suffix
        self._session = session
        self._budgets = budgets
        self._test = test

    def __call__(
        self, name: str, value: float, *, stages: Mapping[str, float] | None = None, **options: Any
    ) -> Measurement:
        """Record and judge a value; raises VerificationFailed when it is not within its budget."""
        __tracebackhide__ = True
        name += self._suffix
        known = criterion(name, self._budgets, **options)
        measurement = judge(known, value, stages or {}, time.time(), self._test, self._session.scale)
        self._session.measured(self._test, measurement)
        if measurement.verdict is Verdict.FAILED:
            sign = "at most" if known.better == "lower" else "at least"
            means = f" ({known.source})" if known.source else ""
            raise VerificationFailed(f"{name} {sign} {known.budget:g} {known.unit}{means}", str(measurement))
        return measurement

    @contextmanager
    def timing(self, name: str, **options: Any) -> Iterator[dict[str, float]]:
        """Measure how long the block takes; put stages into the mapping that is given. An exception records nothing."""
        stages: dict[str, float] = {}
        began = time.monotonic()
        yield stages
        self(name, time.monotonic() - began, stages=stages, **options)

    def inconclusive(self, name: str, why: str) -> None:
        """Record that the criterion could not be measured, and end the test."""
        known = criterion(name + self._suffix, self._budgets)
        self._session.measured(
            self._test, Measurement(known, Verdict.INCONCLUSIVE, why=why, at=time.time(), test=self._test)
        )
        pytest.skip(f"{INCONCLUSIVE}{why}")


@pytest.fixture
def measure(request: pytest.FixtureRequest, verify_session: Session, target: str) -> Measure:
    """Record a value of a criterion and compare it with its budget: `measure("search", seconds)`.

    `with measure.timing("restart"):` takes the time of a block, and `measure.inconclusive("search", "why")` ends the
    test where it cannot be measured. A name of your own is fine: `measure("import", 3.1, unit="s", budget=5)`, or the
    budget in devenv.toml: [verify] budgets. `devenv history` shows values over the runs.
    """
    budgets = verify_session.settings().verify.budgets
    return Measure(verify_session, budgets, request.node.nodeid, suffix_of(request.node, target))


@pytest.fixture
def own_engine(
    verify_session: Session, stack: ComposeStack, measure: Measure
) -> Iterator[tuple[OwnEngine, ComposeStack]]:
    """A second engine that may be restarted, and a stack on it which is not started yet: `engine, stack = own_engine`.

    It has the images of the shared stack. It needs Linux and root; elsewhere the test is inconclusive.

    Its published ports are in its own network: call them in `with engine.network():`.
    """
    environments = verify_session.environments()
    folder = verify_session.run.folder / TREES / "engine"
    reason = why_not(folder) if stack.isolated else "it needs an isolated copy, and --running tests what is up"
    if reason:
        measure.inconclusive("engine_recovery", reason)
    engine = OwnEngine(folder, environments.source.environ)
    try:
        try:
            engine.start()
        except (VerificationFailed, Never) as error:
            measure.inconclusive("engine_recovery", f"no second engine starts here: {error}")
        made = environments.isolated(environ=engine.environ)
        try:
            engine.take_images(stack.images_for(made), environments.source.environ)
            yield engine, made
        finally:
            environments.remove(made)
    finally:
        engine.remove()
