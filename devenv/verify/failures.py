"""How a failed test is told: the lines of tests and not of devenv, a summary in a line, and one cause once."""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final

import pytest

import devenv
from devenv.core.errors import DevenvError
from devenv.verify.waiting import VerificationFailed

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
    if is_told_in_full(error):
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
    if crash is not None and is_told_in_full(error):
        crash.message = f"{summary(error)}\n{error}"


def in_words(error: Exception) -> str:
    """Return the error without any line of a program, its summary first."""
    rest = error.seen.splitlines()[1:] if isinstance(error, VerificationFailed) else str(error).splitlines()[1:]
    return "\n".join([summary(error), *rest, *getattr(error, "__notes__", ())])


def is_told_in_full(error: BaseException) -> bool:
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
