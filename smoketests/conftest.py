"""The options by their short names: `pytest smoketests --target kubernetes`."""

import pytest

from devenv.verify.plugin import short_options


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Add them; and where pytest-asyncio is not installed, let pytest know its settings, which are for tests/."""
    short_options(parser)
    if not pluginmanager.has_plugin("asyncio"):
        for name in ("asyncio_mode", "asyncio_default_fixture_loop_scope"):
            parser.addini(name, "pytest-asyncio's")
