"""For `locust -f theirs.py,$(devenv load plugin)`: the plugin for a locustfile that is not changed."""

import devenv.load.plugin  # noqa: F401  # it registers itself
