"""Options that several commands have: those that choose the project, before and after the verb, and those of logs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from devenv.core.settings import Config

_Parser = TypeVar("_Parser", bound="argparse.ArgumentParser")
_LISTS = ("files", "profiles", "env_files")
_SINGLES = ("project_name", "project_directory", "config", "context", "namespace", "read_only", "no_color")


def described(commands: argparse._SubParsersAction[_Parser], name: str, what: str, **more: Any) -> _Parser:
    """Add a command; `what` it does stands in the list of commands and, as a sentence, in its own help."""
    more.setdefault("description", f"{what[0].upper()}{what[1:]}.")
    return commands.add_parser(name, help=what, allow_abbrev=False, **more)


def flag(parser: argparse._ActionsContainer, *names: str, help: str) -> None:
    """Add an option that has no value."""
    parser.add_argument(*names, action="store_true", help=help)


def repeated(parser: argparse._ActionsContainer, name: str, dest: str, metavar: str, help: str) -> None:
    """Add an option that may be given more than once."""
    parser.add_argument(name, action="append", dest=dest, metavar=metavar, help=help)


def whole(text: str) -> int:
    """Read a whole number above 0."""
    import argparse

    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def add_project_options(
    parser: argparse.ArgumentParser, prefix: str, *, short_file: bool = True, cluster: bool = False
) -> None:
    """Add them; `prefix` keeps both sides of the verb apart until `merge_options`. `logs -f` means follow.

    `cluster`: the short flags mean what they mean in kubectl, -n the namespace.
    """
    group = parser.add_argument_group("project")
    file_flags = ("-f", "--file") if short_file and not cluster else ("--file",)
    group.add_argument(*file_flags, action="append", dest=f"{prefix}files", metavar="FILE", help="Compose file")
    project_flags = ("--project-name",) if cluster else ("-p", "--project-name")
    group.add_argument(*project_flags, dest=f"{prefix}project_name", metavar="NAME", help="project name")
    group.add_argument("--profile", action="append", dest=f"{prefix}profiles", metavar="NAME", help="enable a profile")
    group.add_argument(
        "--env-file",
        action="append",
        dest=f"{prefix}env_files",
        metavar="FILE",
        help="file with variables for the Compose file",
    )
    group.add_argument(
        "--project-directory",
        dest=f"{prefix}project_directory",
        metavar="DIR",
        help="folder that relative paths start from",
    )
    group.add_argument("--config", dest=f"{prefix}config", metavar="FILE", help="devenv.toml to use")
    group.add_argument("--context", dest=f"{prefix}context", metavar="NAME", help="Kubernetes context")
    namespace_flags = ("-n", "--namespace") if cluster else ("--namespace",)
    group.add_argument(*namespace_flags, dest=f"{prefix}namespace", metavar="NAME", help="Kubernetes namespace")
    for flag, what in (("read-only", "refuse every change"), ("no-color", "no colours (also NO_COLOR)")):
        name = f"{prefix}{flag.replace('-', '_')}"
        group.add_argument(f"--{flag}", action="store_true", default=None, dest=name, help=what)


def merge_options(namespace: argparse.Namespace) -> argparse.Namespace:
    """Bring project options from both sides of the verb together: lists add up, the later single value wins."""
    given = vars(namespace)
    for name in _LISTS:
        merged = [*(given.pop(f"before_{name}", None) or ()), *(given.pop(f"after_{name}", None) or ())]
        setattr(namespace, name, tuple(merged))
    for name in _SINGLES:
        before, after = given.pop(f"before_{name}", None), given.pop(f"after_{name}", None)
        setattr(namespace, name, after if after is not None else before)
    namespace.command = namespace.command or "tui"
    return namespace


_LOG_EPILOG = """filters; a line is shown when it passes all of them:
  --grep timeout             a regular expression; all in lower case, it ignores case
  --grep '!GET /health'      lines without it
  --grep status=500          a field of JSON or logfmt: = and !=, or ~ and !~ for a regular expression
  --level warn               this level and above, in JSON, logfmt or plain text
Times are durations before now (90s, 5m, 1h30m, 2d) or dates (2026-01-31T12:00:00Z).

example: """
LEVELS = ("trace", "debug", "info", "warn", "error", "fatal")  # as `devenv.logs.record`, which a parser need not import


def add_log_options(parser: argparse.ArgumentParser, example: str) -> None:
    """Add what the logs of containers and of pods have in common."""
    import argparse

    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = f"{_LOG_EPILOG}{example}"
    flag(parser, "-f", "--follow", help="keep showing new lines, also after restarts")
    parser.add_argument("--since", type=_moment, metavar="TIME", help="only lines written since then")
    parser.add_argument("--until", type=_moment, metavar="TIME", help="only lines written until then")
    parser.add_argument(
        "--grep", action="append", default=[], metavar="FILTER", help="only lines that match; may be repeated"
    )
    parser.add_argument("--level", choices=LEVELS, default="", help="only lines of this level and above")
    flag(parser, "--json", help="one JSON object per line, with level and fields")
    flag(parser, "-t", "--timestamps", help="show when each line was written")


def lines_of_tail(text: str) -> int:
    """Read a number of last lines; -1 or "all": all of them."""
    import argparse

    if text in ("all", "-1"):
        return -1
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number of lines nor 'all'")
    return int(text)


def _moment(text: str) -> float:
    import argparse

    from devenv.logs.filter import moment_of

    try:
        return moment_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def read_settings(arguments: argparse.Namespace, start: Path | None = None) -> Config:
    """Read the settings that hold in the folder, by default the current one, with these options.

    Raises UsageError and ProjectError.
    """
    from devenv.core.settings import current_folder, load_config  # deferred: `devenv --version` needs none

    return load_config(
        start or current_folder(arguments.files),
        os.environ,
        file=arguments.config,
        read_only=arguments.read_only,
        context=arguments.context or "",
        namespace=arguments.namespace or "",
    )
