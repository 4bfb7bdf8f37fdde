"""The register of rules: a rule has an id, a reason, a source, a severity and a fix; its subject is its module."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from inspect import cleandoc
from typing import Protocol, TypeVar

from devenv.manifests.model import Environment, Problem, Severity
from devenv.manifests.rendering import Container, Rendering, Workload

Check = Callable[[Rendering], Iterator[Problem]]

EVERYWHERE = frozenset(Environment)
SERVED = frozenset({Environment.STAGING, Environment.PRODUCTION})
"""Where others than its developer rely on what runs."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `check` is None where the machinery itself finds the problem (files, exceptions)."""

    id: str
    subject: str
    reason: str
    source: str
    fix: str
    severity: Severity
    environments: frozenset[Environment]
    check: Check | None = None


class _Item(Protocol):
    """Something that a problem can be in."""

    def problem(self, message: str, *path: str | int) -> Problem: ...


_T = TypeVar("_T", bound=_Item)
_rules: dict[str, Rule] = {}


class _Register:
    """Registers rules of one severity."""

    def __init__(self, severity: Severity) -> None:
        self._severity = severity

    def __call__(
        self, rule_id: str, *, source: str, fix: str, environments: frozenset[Environment] = EVERYWHERE
    ) -> Callable[[Check], Check]:
        """Register the function as a rule; its docstring is the reason."""

        def register(check: Check) -> Check:
            reason = " ".join(cleandoc(check.__doc__ or "").split())
            self._add(check.__module__, rule_id, reason, source, fix, environments, check)
            return check

        return register

    def each(
        self,
        rule_id: str,
        reason: str,
        items: Callable[[Rendering], Iterable[_T]],
        wrong: Callable[[_T], str | bool],
        *,
        at: tuple[str | int, ...] = (),
        source: str,
        fix: str,
        environments: frozenset[Environment] = EVERYWHERE,
    ) -> None:
        """Register a rule that looks at each item alone: `wrong` says what is wrong with it, False or empty nothing."""

        def check(rendering: Rendering) -> Iterator[Problem]:
            for item in items(rendering):
                if message := wrong(item):
                    yield item.problem(str(message), *at)

        self._add(wrong.__module__, rule_id, reason, source, fix, environments, check)

    def declare(self, module: str, rule_id: str, reason: str, *, source: str, fix: str) -> None:
        """Register a rule whose problems the machinery finds."""
        self._add(module, rule_id, reason, source, fix)

    def _add(
        self,
        module: str,
        name: str,
        reason: str,
        source: str,
        fix: str,
        where: frozenset[Environment] = EVERYWHERE,
        check: Check | None = None,
    ) -> None:
        if name in _rules:
            raise AssertionError(f"two rules are called {name}")
        _rules[name] = Rule(name, module.rpartition(".")[2], reason, source, fix, self._severity, where, check)


error, warning = _Register(Severity.ERROR), _Register(Severity.WARNING)


def all_rules() -> dict[str, Rule]:
    """Return every rule by its id, sorted by subject and id."""
    rules = importlib.import_module("devenv.manifests.rules")  # here, since the rules import this module

    for module in pkgutil.iter_modules(rules.__path__):
        importlib.import_module(f"{rules.__name__}.{module.name}")
    return dict(sorted(_rules.items(), key=lambda item: (item[1].subject, item[0])))


def containers(rendering: Rendering) -> list[Container]:
    """Every container, init containers included."""
    return rendering.containers


def workloads(rendering: Rendering) -> list[Workload]:
    """Everything that makes pods."""
    return rendering.workloads
