"""The register of rules: a rule is one small function with an id, a reason, a source, a severity and a fix."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from inspect import cleandoc

from devenv.manifests.model import Environment, Problem, Severity
from devenv.manifests.rendering import Rendering

Check = Callable[[Rendering], Iterator[Problem]]

EVERYWHERE = frozenset(Environment)
SERVED = frozenset({Environment.STAGING, Environment.PRODUCTION})
"""Where others than its developer rely on what runs."""
ERROR, WARNING = Severity.ERROR, Severity.WARNING


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


_rules: dict[str, Rule] = {}


def rule(
    rule_id: str,
    *,
    source: str,
    fix: str,
    severity: Severity = WARNING,
    environments: frozenset[Environment] = EVERYWHERE,
) -> Callable[[Check], Check]:
    """Register the function as a rule; its docstring is the reason, its module the subject."""

    def register(check: Check) -> Check:
        reason = " ".join(cleandoc(check.__doc__ or "").split())
        _add(Rule(rule_id, check.__module__.rpartition(".")[2], reason, source, fix, severity, environments, check))
        return check

    return register


def declare(rule_id: str, *, subject: str, reason: str, source: str, fix: str, severity: Severity = ERROR) -> None:
    """Register a rule whose problems the machinery finds."""
    _add(Rule(rule_id, subject, reason, source, fix, severity, EVERYWHERE))


def all_rules() -> dict[str, Rule]:
    """Return every rule by its id, sorted by subject and id."""
    rules = importlib.import_module("devenv.manifests.rules")  # here, since the rules import this module

    for module in pkgutil.iter_modules(rules.__path__):
        importlib.import_module(f"{rules.__name__}.{module.name}")
    return dict(sorted(_rules.items(), key=lambda item: (item[1].subject, item[0])))


def _add(new: Rule) -> None:
    if new.id in _rules:
        raise AssertionError(f"two rules are called {new.id}")
    _rules[new.id] = new
