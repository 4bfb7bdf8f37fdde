"""Which tests are for which runtime, and whether the one that is asked for is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from devenv.core.errors import DevenvError

if TYPE_CHECKING:
    from devenv.verify.session import Session

COMPOSE: Final = "compose"
KUBERNETES: Final = "kubernetes"
MARKER: Final = "targets"
_PYTESTS: Final = 5  # exit codes up to here mean what pytest says they do


def targets_of(node: pytest.Item | pytest.Function) -> tuple[str, ...]:
    """Return what a test is for: what its marker `targets` says, Compose without one. Raises UsageError."""
    marker = node.get_closest_marker(MARKER)
    names = tuple(str(name) for name in marker.args) if marker is not None else (COMPOSE,)
    if not names or set(names) - {COMPOSE, KUBERNETES}:
        raise pytest.UsageError(f"{node.nodeid}: targets{names!r}: there are {COMPOSE!r} and {KUBERNETES!r}")
    return names


def runtime_of(item: pytest.Item) -> str:
    """Return the runtime that a test ran on; "" for one that is for both and was not told which with `all`."""
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
