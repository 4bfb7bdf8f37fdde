"""The options by their short names: `pytest smoketests --target kubernetes`."""

from devenv.verify.plugin import short_options as pytest_addoption  # noqa: F401 - a hook of pytest
