"""The pytest plugin `devenv`: options for smoke tests, and nothing more until a smoke test is collected.

Smoke tests are the test files below a folder that the ini option `devenv_smoketests` names (default: smoketests). The
first of them brings in `devenv.verify.session` with the fixtures; a project's other tests never pay for it.

`--strict` is pytest's own option: with it, and with `strict` in its settings, what could not be measured fails the run.

pytest-docker is not used: its setup runs before its `try`, so that a start that fails or is interrupted leaks the
stack; its clean-up keeps no logs; and it knows neither a private copy of the project nor a port that changes.
"""

from __future__ import annotations

from pathlib import Path

import pytest

_SESSION = "devenv-verify-session"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Describe the options and the ini option."""
    group = parser.getgroup("devenv", "smoke tests of a project on Compose or Kubernetes (devenv)")
    group.addoption("--running", action="store_true", help="test the stack that is up instead of an isolated copy")
    group.addoption("--target", choices=("compose", "kubernetes", "all"), default="compose", help="what runs the stack")
    group.addoption("--keep", action="store_true", help="leave the isolated stacks up; devenv doctor --clean ends them")
    group.addoption("--report-dir", metavar="DIR", help="where the reports go (default: the run's state folder)")
    group.addoption("--budget-scale", type=float, default=1.0, metavar="X", help="widen budgets in seconds X times")
    group.addoption("--project", metavar="DIR", help="folder of the project (default: the folder pytest starts in)")
    group.addoption(
        "--compose-override",
        action="append",
        default=[],
        metavar="FILE",
        help="one more Compose file, merged after the project's own",
    )
    group.addoption(
        "--image",
        action="append",
        default=[],
        metavar="NAME=IMAGE",
        help="on Kubernetes, use IMAGE where the overlay names NAME (without tag and digest)",
    )
    group.addoption("--overlay", default="", metavar="NAME|DIR", help="on Kubernetes, the overlay that is tested")
    group.addoption("--ingress", metavar="URL", help="on Kubernetes, where the ingress controller is reached")
    parser.addini("devenv_smoketests", "names of folders with smoke tests", type="args", default=["smoketests"])


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Begin at once where the command line names smoke tests: reports of pytest's own are configured now."""
    config.addinivalue_line("markers", "behaviour(name): what a smoke test proves; shown in the reports")
    config.addinivalue_line("markers", "targets(*names): what a smoke test runs on: compose (default), kubernetes")
    if any(is_smoketest(config, Path(str(item).partition("::")[0])) for item in config.args):
        _activate(config)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> None:
    """Begin where a smoke test is found by a wider search."""
    if file_path.suffix == ".py" and is_smoketest(parent.config, file_path):
        _activate(parent.config)


def is_smoketest(config: pytest.Config, path: Path) -> bool:
    """Whether a file is below a folder of smoke tests, or that folder itself."""
    names = set(config.getini("devenv_smoketests"))
    absolute = path if path.is_absolute() else config.invocation_params.dir / path
    try:
        inside = absolute.relative_to(config.rootpath)
    except ValueError:
        inside = absolute
    return bool(names & set(inside.parts)) or absolute.name in names


def _activate(config: pytest.Config) -> None:
    if config.pluginmanager.has_plugin(_SESSION):
        return
    from devenv.verify import fixtures
    from devenv.verify.session import Session
    from devenv.verify.targets import Selection

    if config.option.budget_scale <= 0:
        raise pytest.UsageError("--budget-scale must be above 0")
    session = Session(config)
    config.pluginmanager.register(session, _SESSION)
    config.stash[fixtures.SESSION] = session
    config.pluginmanager.register(fixtures, f"{_SESSION}-fixtures")
    config.pluginmanager.register(Selection(session), f"{_SESSION}-targets")
    if config.option.target != "compose":
        from devenv.verify.kube import fixtures as kube_fixtures

        config.pluginmanager.register(kube_fixtures, f"{_SESSION}-kube-fixtures")
    session.begin()
    if not session.is_worker:
        from devenv.verify.collector import Collector

        config.pluginmanager.register(Collector(session), f"{_SESSION}-collector")
