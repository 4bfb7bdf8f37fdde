"""The pytest plugin `devenv`: options for smoke tests, and nothing more until a smoke test is collected.

Smoke tests are the test files below a folder that the ini option `devenv_smoketests` names (default: smoketests), or
devenv.toml: [verify] tests. The first of them brings in `devenv.verify.session`, and the fixtures exist in that folder
alone: a project's other tests never pay for it, and fixtures of the same names from other plugins stay what they are.

The options begin with `--devenv-`, as this plugin is there for every project of its environment. A folder of smoke
tests gets the names without it (`pytest smoketests --keep`) by one line in its conftest.py:

    from devenv.verify.plugin import short_options as pytest_addoption

`--strict` is pytest's own option: with it, and with `strict` in its settings, what could not be measured fails the run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

_SESSION = "devenv-verify-session"
_PLACES: pytest.StashKey[tuple[frozenset[str], tuple[Path, ...]]] = pytest.StashKey()
_KNOWN: pytest.StashKey[set[pytest.Collector]] = pytest.StashKey()  # folders that have the fixtures


def pytest_addoption(parser: pytest.Parser) -> None:
    """Describe the options and the ini option."""
    _add_options(parser, "--devenv-")
    parser.addini("devenv_smoketests", "names of folders with smoke tests", type="args", default=["smoketests"])


def short_options(parser: pytest.Parser) -> None:
    """Describe the options by their short names too; for the conftest.py of a folder of smoke tests."""
    _add_options(parser, "--")


def _add_options(parser: pytest.Parser, prefix: str) -> None:
    group = parser.getgroup("devenv", "smoke tests of a project on Compose or Kubernetes (devenv)")

    def add(name: str, **attributes: object) -> None:
        group.addoption(f"{prefix}{name}", dest=f"devenv_{name.replace('-', '_')}", **attributes)

    add("running", action="store_true", help="test the stack that is up instead of an isolated copy")
    add("target", choices=("compose", "kubernetes", "all"), default="compose", help="where the stack runs")
    add("keep", action="store_true", help="keep the isolated copies running; devenv doctor --clean removes them")
    add("report-dir", metavar="DIR", help="where the reports go (default: the run's state folder)")
    add("budget-scale", type=float, default=1.0, metavar="X", help="multiply the budgets that are in seconds by X")
    add("project", metavar="DIR", help="folder of the project (default: the folder pytest starts in)")
    files = "one more Compose file, merged after the project's own"
    add("compose-override", action="append", default=[], metavar="FILE", help=files)
    image = "on Kubernetes, use IMAGE where the overlay names NAME (without tag and digest)"
    add("image", action="append", default=[], metavar="NAME=IMAGE", help=image)
    add("overlay", default="", metavar="NAME|DIR", help="on Kubernetes, the overlay to test")
    add("ingress", metavar="URL", help="on Kubernetes, the address of the ingress controller")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Begin at once where the command line names smoke tests: reports of pytest's own are configured now."""
    for item in config.args:
        path = Path(str(item).partition("::")[0])
        if is_smoketest(config, path):
            _activate(config, config.invocation_params.dir / path)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> None:
    """Begin where a smoke test is found by a wider search, and give its folder the fixtures."""
    config = parent.config
    if file_path.suffix != ".py" or not is_smoketest(config, file_path):
        return
    _activate(config, file_path)
    folder = next((node for node in parent.listchain() if is_smoketest(config, node.path)), parent)
    if isinstance(folder, pytest.Collector) and folder not in config.stash[_KNOWN]:
        config.stash[_KNOWN].add(folder)
        # Before the folder's own conftest.py, which pytest reads when the folder is collected and which may replace
        # them. A plugin that is registered would have them in the whole session.
        manager: Any = config.pluginmanager.get_plugin("funcmanage")
        for module in _fixture_modules(config):
            manager.parsefactories(holder=module, node=folder)


def is_smoketest(config: pytest.Config, path: Path) -> bool:
    """Whether a file is below a folder of smoke tests, or that folder itself."""
    names, folders = _smoketests(config)
    absolute = path if path.is_absolute() else config.invocation_params.dir / path
    if any(absolute.is_relative_to(folder) for folder in folders):
        return True
    try:
        inside = absolute.relative_to(config.rootpath.parent)
    except ValueError:
        inside = absolute
    return not names.isdisjoint(inside.parts)


def _smoketests(config: pytest.Config) -> tuple[frozenset[str], tuple[Path, ...]]:
    """Return the names, and the folders, that hold smoke tests; a broken devenv.toml is reported when it is needed."""
    if _PLACES not in config.stash:
        given = config.getini("devenv_smoketests")
        folders = [Path(name) for name in given if Path(name).is_absolute()]
        # pytest that is started elsewhere has its root elsewhere too: the project is above what it is given.
        named = [config.invocation_params.dir / str(item).partition("::")[0] for item in config.args]
        for start in dict.fromkeys([config.rootpath, *named]):
            folders += _named_in_settings(start)
        config.stash[_PLACES] = frozenset(given), tuple(folders)
    return config.stash[_PLACES]


def _named_in_settings(start: Path) -> list[Path]:
    file = next((path for folder in (start, *start.parents) if (path := folder / "devenv.toml").is_file()), None)
    if file is None:
        return []
    import tomllib

    try:
        tests = tomllib.loads(file.read_text("utf-8")).get("verify", {}).get("tests")
    except (OSError, ValueError, AttributeError):
        return []
    return [file.parent / tests] if isinstance(tests, str) else []


def _fixture_modules(config: pytest.Config) -> list[object]:
    from devenv.verify import fixtures

    modules: list[object] = [fixtures]
    if config.option.devenv_target != "compose":
        from devenv.verify import kube_fixtures

        modules.append(kube_fixtures)
    if config.pluginmanager.has_plugin("docker"):  # pytest-docker
        from devenv.verify import docker_services

        modules.append(docker_services)
    return modules


def _activate(config: pytest.Config, first: Path) -> None:
    if config.pluginmanager.has_plugin(_SESSION):
        return
    from devenv.verify import fixtures
    from devenv.verify.session import Selection, Session

    config.addinivalue_line("markers", "behaviour(name): what a smoke test proves; shown in the reports")
    config.addinivalue_line("markers", "targets(*names): what a smoke test runs on: compose (default), kubernetes")
    if config.option.devenv_budget_scale <= 0:
        raise pytest.UsageError("--budget-scale must be above 0")
    session = Session(config, first, lambda item: is_smoketest(config, item.path))
    config.pluginmanager.register(session, _SESSION)
    config.stash[fixtures.SESSION] = session
    config.stash[_KNOWN] = set()
    config.pluginmanager.register(Selection(session), f"{_SESSION}-targets")
    session.begin()
    if not session.is_worker:
        from devenv.verify.collector import Collector

        config.pluginmanager.register(Collector(session), f"{_SESSION}-collector")
