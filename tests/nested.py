"""Runs of pytest that tests start: they load no plugin that only these tests here need."""

from __future__ import annotations

# Half of the time in which pytest starts is theirs. An ini file of a run may have none of their keys then.
UNUSED = ("anyio", "asyncio", "hypothesispytest", "rerunfailures", "xdist", "xdist.looponfail")
WITHOUT_PLUGINS = " ".join(f"-p no:{name}" for name in UNUSED)  # for PYTEST_ADDOPTS
