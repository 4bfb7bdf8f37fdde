"""One pytest session of smoke tests: its run, its stacks, what a failure says, and which tests run on which runtime."""

from __future__ import annotations

import itertools
import os
import sysconfig
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

import pytest

import devenv
from devenv.backends.compose import ComposeOptions
from devenv.backends.compose.find import has_project
from devenv.core.errors import DevenvError
from devenv.core.masking import mask_values
from devenv.core.settings import FILE_NAME, Config, load_config
from devenv.core.signals import interrupt_once
from devenv.runs.criteria import Measurement
from devenv.runs.identity import Run, begin_run
from devenv.runs.lines import hold_on
from devenv.verify.environment import Environments, locate
from devenv.verify.service_verdicts import Verified
from devenv.verify.stack import Stack, Stacks
from devenv.verify.waiting import Unmeasurable, VerificationFailed

_LIBRARIES: Final = (
    Path(devenv.__file__).parent,
    *(Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")),
)


class Causes:
    """The errors that setups met, each with the test that met it first.

    pytest keeps the exception of a shared fixture and raises it for each test again. What is asked for each test anew
    (devenv.toml, the project) fails with an error of its own each time, of the same words.
    """

    def __init__(self) -> None:
        self._known: list[tuple[Exception, str]] = []

    def first(self, error: Exception, test: str) -> str:
        """Return the test that met this error first, which may be this one."""
        for known, first in self._known:
            alike = isinstance(error, DevenvError) and type(known) is type(error) and str(known) == str(error)
            if known is error or alike:
                return first
        self._known.append((error, test))
        return test


def shown(error: Exception) -> pytest.ExceptionInfo[Exception] | None:
    """Return what pytest shall show of the error: all from the first line of a test or its fixtures on.

    An error that says all by itself is shown without lines of devenv and without what it was made from. None where
    no line is a test's.
    """
    lines = list(_entries(error.__traceback__))
    of_tests = [number for number, entry in enumerate(lines) if not _is_library(entry.tb_frame.f_code.co_filename)]
    if not of_tests:
        return None
    if is_shown_in_full(error):
        error.__cause__, error.__suppress_context__ = None, True
        kept = [lines[number] for number in of_tests]
    else:
        kept = lines[of_tests[0] :]
    joined: TracebackType | None = None
    for entry in reversed(kept):
        joined = TracebackType(joined, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    assert joined is not None
    return pytest.ExceptionInfo.from_exc_info((type(error), error, joined))


def tell_failure(report: pytest.TestReport, error: Exception) -> None:
    """Give the report of a failure that says all by itself its line in pytest's summary."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None and is_shown_in_full(error):
        crash.message = f"{summary(error)}\n{error}"


def in_words(error: Exception) -> str:
    """Return the error without any line of a program, its summary first."""
    rest = error.seen.splitlines()[1:] if isinstance(error, VerificationFailed) else str(error).splitlines()[1:]
    return "\n".join([summary(error), *rest, *getattr(error, "__notes__", ())])


def is_shown_in_full(error: BaseException) -> bool:
    """Whether it was raised on purpose, with all that a reader needs."""
    return isinstance(error, DevenvError | VerificationFailed)


def summary(error: Exception) -> str:
    """Return the error in one line."""
    if isinstance(error, VerificationFailed):
        return f"{_first_line(error.seen)} (expected: {error.expected})"
    return _first_line(str(error)) or type(error).__name__


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


def _entries(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def _is_library(path: str) -> bool:
    # "<frozen importlib>", "<string>": made by a program.
    return path.startswith("<") or any(Path(path).is_relative_to(folder) for folder in _LIBRARIES)


if TYPE_CHECKING:
    from devenv.verify.kube.environment import KubeEnvironments


COMPOSE: Final = "compose"
KUBERNETES: Final = "kubernetes"
MARKER: Final = "targets"


def targets_of(node: pytest.Item | pytest.Function) -> tuple[str, ...]:
    """Return what a test is for: what its marker `targets` says, Compose without one. Raises UsageError."""
    marker = node.get_closest_marker(MARKER)
    names = tuple(str(name) for name in marker.args) if marker is not None else (COMPOSE,)
    if not names or set(names) - {COMPOSE, KUBERNETES}:
        raise pytest.UsageError(f"{node.nodeid}: targets{names!r}: there are {COMPOSE!r} and {KUBERNETES!r}")
    return names


def runtime_of(item: pytest.Item) -> str:
    """Return the runtime that a test ran on; "" for one that is for both and did not run on one alone with `all`."""
    chosen = str(item.config.option.devenv_target)
    if chosen != "all":
        return chosen
    callspec = getattr(item, "callspec", None)
    if callspec is not None and "target" in callspec.params:
        return str(callspec.params["target"])
    names = targets_of(item)
    return names[0] if len(names) == 1 else ""


def suffix_of(node: pytest.Item, target: str) -> str:
    """Return what a criterion's name gets on Kubernetes: values of one test on two runtimes are never compared."""
    return f".{KUBERNETES}" if target == KUBERNETES and COMPOSE in targets_of(node) else ""


CARRIER: Final = "devenv_verify"  # an attribute of a test report: pytest-xdist brings it to the controller
INCONCLUSIVE: Final = "inconclusive: "
_PYTESTS: Final = 5  # exit codes up to here mean what pytest says they do


def _mask(report: pytest.TestReport) -> None:
    """Hide known secrets in what pytest prints and writes of a failure."""
    text = str(report.longrepr)
    if mask_values(text) != text:
        report.longrepr = mask_values(text)
    report.sections = [(name, mask_values(content)) for name, content in report.sections]


class Session:
    """The plugin that is active while smoke tests run; with pytest-xdist there is one in each worker.

    `first` is the smoke test, or folder of them, that was found first. `owns` tells whether a test is a smoke test;
    others are collected by a wider search, and nothing is said of them.
    """

    def __init__(self, config: pytest.Config, first: Path, owns: Callable[[pytest.Item], bool]) -> None:
        self.config = config
        self.owns = owns
        self._first = first
        self.is_worker = hasattr(config, "workerinput")
        self.run: Run = begin_run()
        self._pending: dict[str, list[Measurement]] = {}
        self._behaviours: dict[str, str] = {}
        self._touched: dict[str, tuple[str, ...]] = {}
        self.verified: dict[str, Verified] = {}  # by runtime
        self.current = ""  # the test that is set up or runs
        self._numbers = itertools.count(1)
        self._environments: Environments | None = None
        self._chosen: dict[ComposeOptions, Environments] = {}
        self._kube: KubeEnvironments | None = None
        self._causes = Causes()

    @property
    def stacks(self) -> list[Stack[Any]]:
        """Every stack that there is now, on any runtime."""
        return [stack for made in self._all() for stack in made.stacks]

    @property
    def project_folder(self) -> Path:
        """Where the project is looked for."""
        chosen = self.config.option.devenv_project
        if chosen:
            return Path(chosen).absolute()
        here, root = self.config.invocation_params.dir, self.config.rootpath
        of_tests = _project_above(self._first)
        if of_tests is not None:
            beside = self._first.is_relative_to(here) or here.is_relative_to(of_tests)
            if not (beside and _project_above(here)):
                return of_tests  # pytest was started elsewhere, with the path of the tests
        return here if here.is_relative_to(root) else root

    @property
    def report_folder(self) -> Path:
        """Where the reports of this run go."""
        chosen = self.config.option.devenv_report_dir
        return Path(chosen).absolute() if chosen else self.run.folder / "reports"

    @property
    def scale(self) -> float:
        """How much wider than stated the budgets in seconds are."""
        return float(self.config.option.devenv_budget_scale)

    @property
    def evidence(self) -> Path:
        """Where the evidence of this run is; workers of pytest-xdist have runs of their own."""
        return self.run.folder / "evidence"

    def environments(self) -> Environments:
        """Return the maker of stacks; the project is resolved at the first call."""
        if self._environments is None:
            self._environments = self._made(None)
        return self._environments

    def environments_of(self, chosen: ComposeOptions) -> Environments:
        """Return the maker of stacks of other Compose files than the project's own; one for the same options."""
        if chosen not in self._chosen:
            self._chosen[chosen] = self._made(chosen)
        return self._chosen[chosen]

    def _made(self, chosen: ComposeOptions | None) -> Environments:
        option = self.config.option
        overrides = tuple(str(Path(item).absolute()) for item in option.devenv_compose_override)
        source = locate(self.project_folder, self.settings(), os.environ, overrides, chosen)
        return Environments(source, self.run, keep=option.devenv_keep, scale=self.scale, numbers=self._numbers)

    def _all(self) -> list[Stacks[Any]]:
        return [made for made in (self._kube, self._environments, *self._chosen.values()) if made is not None]

    def kube_environments(self) -> KubeEnvironments:
        """Return the maker of stacks on Kubernetes; the cluster is asked at the first call. Raises DevenvError."""
        if self._kube is None:
            from devenv.verify.kube.environment import KubeEnvironments
            from devenv.verify.kube.source import locate_kube, read_flags

            option = self.config.option
            images, overlay = read_flags(option.devenv_image), option.devenv_overlay
            source = locate_kube(self.project_folder, self.settings(), os.environ, images, overlay)
            self._kube = KubeEnvironments(source, self.run, keep=option.devenv_keep, scale=self.scale)
        return self._kube

    @cache  # noqa: B019  # there is one session in a process
    def settings(self) -> Config:
        """Return the project's settings, read once; raises UsageError."""
        return load_config(self.project_folder, os.environ)

    def begin(self) -> None:
        """Prepare: pytest's own JUnit report, and signals that end the run as the first ctrl-c does."""
        option = self.config.option
        if not self.is_worker and not option.xmlpath:
            option.xmlpath = str(self.report_folder / "junit.xml")
        self._restore_signals = interrupt_once()
        if not self.is_worker:
            hold_on()

    def measured(self, test: str, measurement: Measurement) -> None:
        """Keep what a test measured until its report is made."""
        self._pending.setdefault(test, []).append(measurement)

    def note_subjects(self, stack: Stack[Any]) -> None:
        """Note what the stack is made of, once; a stack that a test changed is not what people run."""
        known = self.verified.get(stack.target, Verified()).subjects.values()
        if not stack.driver.changed and not any(subject.config for subject in known):
            self.verified[stack.target] = Verified(stack.driver.place, stack.driver.subjects())

    def mark(self, kind: str, text: str) -> None:
        """Write a moment into the evidence of every stack that there is."""
        for stack in self.stacks:
            stack.recorder.mark(kind, text)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Note which behaviour each test is about."""
        for item in filter(self.owns, items):
            marker = item.get_closest_marker("behaviour")
            name = str(marker.args[0]) if marker and marker.args else item.path.stem.removeprefix("test_")
            self._behaviours[item.nodeid] = name.replace("_", " ")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Explain a failure in the setup."""
        if not self.owns(item):
            return (yield)
        self.current = item.nodeid
        self.mark("phase", f"setup of {item.nodeid}")
        return (yield from self._explained(item))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Explain a failure in the test."""
        if not self.owns(item):
            return (yield)
        self.mark("test", item.nodeid)
        self._take_touched()
        try:
            return (yield from self._explained(item))
        finally:
            self._touched[item.nodeid] = self._take_touched()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Let a failure say what matters, and give what was measured to the report, which travels between processes."""
        if not self.owns(item):
            report = yield
            setattr(report, CARRIER, None)
            return report
        error = call.excinfo.value if call.excinfo is not None else None
        short = shown(error) if isinstance(error, Exception) else None
        if short is not None and not self.config.option.fulltrace:
            call.excinfo = short
        report = yield
        if isinstance(error, Exception):
            first = self._causes.first(error, item.nodeid) if call.when == "setup" else item.nodeid
            if first != item.nodeid:
                report.longrepr = f"not run: {summary(error)} (shown in full at {first})"
            elif short is None and is_shown_in_full(error) and not self.config.option.fulltrace:
                report.longrepr = in_words(error)
            else:
                tell_failure(report, error)
            _mask(report)
        measured = self._pending.pop(item.nodeid, [])
        data = {
            "asserted": call.when == "call" and isinstance(error, AssertionError | pytest.fail.Exception),
            "behaviour": self._behaviours.get(item.nodeid, ""),
            "measurements": [one.to_data() for one in measured],
            "services": self._touched.get(item.nodeid, ()),
            "runtime": runtime_of(item),
            "verified": {runtime: asdict(measured) for runtime, measured in self.verified.items()},
        }
        setattr(report, CARRIER, data)
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(self) -> Generator[None, None, None]:
        """Take down what no fixture could."""
        try:
            return (yield)
        finally:
            with ExitStack() as closing:  # each is closed, whatever the others raise
                closing.callback(self._restore_signals)
                for made in reversed(self._all()):
                    closing.callback(made.close)

    def behaviour(self, test: str) -> str:
        """Return what a test is about."""
        return self._behaviours.get(test, "")

    def _take_touched(self) -> tuple[str, ...]:
        """Return the services that tests did something with since the last call."""
        return tuple(dict.fromkeys(name for stack in self.stacks for name in stack.recorder.take_touched()))

    def explain(self, error: BaseException, what: str) -> None:
        """Add to an error what every stack shows now, once; and mark the failure in the evidence."""
        if hasattr(error, "__notes__"):
            return
        at = time.time()
        if isinstance(error, DevenvError) and error.hint:
            error.add_note(f"hint: {error.hint}")
        for stack in self.stacks:
            stack.recorder.mark("failure", f"{what}: {str(error)[:300]}")
            stack.recorder.state()
            error.add_note(stack.explain(at))

    def explain_start(self, error: BaseException, what: str) -> None:
        """Add to the error of a start what the stack shows before it is removed, and how it is left up."""
        self.explain(error, what)
        option = self.config.option
        if not (option.devenv_keep or option.devenv_running):
            error.add_note("look inside: run it again with --devenv-keep (devenv verify --keep), which leaves it up")

    def _explained(self, item: pytest.Item) -> Generator[None, Any, Any]:
        try:
            return (yield)
        except pytest.skip.Exception:
            raise
        except Unmeasurable as error:
            pytest.skip(f"{INCONCLUSIVE}{error.message}")
        except Exception as error:
            self.explain(error, item.nodeid)
            raise


class Selection:
    """The plugin that selects tests by --target; with `all`, a test for both runs once on each."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._target: str = session.config.option.devenv_target

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """With `all`, name the runtime in the test's id; else ids are the same whatever it runs on."""
        ours = self._target == "all" and self._session.owns(metafunc.definition)
        if ours and "target" in metafunc.fixturenames:
            metafunc.parametrize("target", targets_of(metafunc.definition), indirect=True, scope="session")

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Leave out what is not for the runtime."""
        if self._target == "all":
            return
        mine = [item for item in items if not self._session.owns(item) or self._target in targets_of(item)]
        if len(mine) < len(items):
            config.hook.pytest_deselected(items=[item for item in items if item not in mine])
            items[:] = mine

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """End the run where the cluster cannot be used, with devenv's exit code: a skip would look like a success."""
        if self._target == COMPOSE or session.config.option.collectonly or self._session.is_worker:
            return
        try:
            self._session.kube_environments()
        except DevenvError as error:
            text = f"--target {self._target}: {error.message}"
            text = f"{text}\nhint: {error.hint}" if error.hint else text
            if error.exit_code <= _PYTESTS:
                raise pytest.UsageError(text) from error
            pytest.exit(text, returncode=error.exit_code)


def _project_above(start: Path) -> Path | None:
    """Return the nearest folder from `start` upward that has a project."""
    from devenv.manifests.kustomization import kustomization_file

    def has_one(folder: Path) -> bool:
        return (folder / FILE_NAME).is_file() or has_project(folder) or kustomization_file(folder) is not None

    return next((folder for folder in (start, *start.parents) if has_one(folder)), None)
