"""`devenv cache`: what the stored results of tasks take, and bringing them from one machine to another."""

from __future__ import annotations

import json
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from devenv.cli.console import tell, warn
from devenv.cli.task_project import require_changes, task_cache
from devenv.core.errors import DevenvError
from devenv.core.text import human_age, human_bytes, sanitize
from devenv.tasks.cache import TaskCache


def run(arguments: Namespace) -> int:
    """Run the command below `cache`."""
    cache, config = task_cache(arguments)
    if arguments.subcommand == "info":
        sys.stdout.write(_info(cache, as_json=arguments.json))
        return 0
    if arguments.subcommand in ("clean", "import"):
        require_changes(config, f"cache {arguments.subcommand}")
    try:
        if arguments.subcommand == "clean":
            before = cache.clean()
            tell(f"{_results(before.files)} removed, {human_bytes(before.bytes)}", no_color=arguments.no_color)
        else:
            copy = cache.copy_to if arguments.subcommand == "export" else cache.copy_from
            _copy(copy, arguments)
    except OSError as error:
        where = sanitize(str(error.filename or cache.folder))
        raise DevenvError(f"{where} cannot be changed: {error.strerror}", "Make it writable for this user.") from error
    return 0


def _copy(copy: Callable[[Path], tuple[int, int]], arguments: Namespace) -> None:
    copied, broken = copy(Path(arguments.folder))
    if broken:
        warn(f"{_results(broken)} left out: not whole", no_color=arguments.no_color)
    tell(f"{_results(copied)} copied", no_color=arguments.no_color)


def _info(cache: TaskCache, *, as_json: bool) -> str:
    usage = cache.usage()
    if as_json:
        data = {
            "schema": 1,
            "folder": str(cache.folder),
            "results": usage.files,
            "bytes": usage.bytes,
            "limit": cache.limit,
            "oldest": usage.oldest,
        }
        return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    oldest = f", the oldest last used {human_age(time.time() - usage.oldest)} ago" if usage.oldest is not None else ""
    takes = f"{human_bytes(usage.bytes)} of at most {human_bytes(cache.limit)}"
    return f"{sanitize(str(cache.folder))}\n{_results(usage.files)}, {takes}{oldest}\n"


def _results(count: int) -> str:
    return f"{count} result{'' if count == 1 else 's'}"
