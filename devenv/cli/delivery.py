"""`devenv notify`: what a deployment's workflow calls beside `ci` and `deploy` (docs/CI_CD.md)."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Mapping
from urllib.parse import urlsplit

from devenv.ci.notify import VARIABLE, Message, Patience, Webhook
from devenv.cli.console import tell, warn
from devenv.core.errors import EXIT_OK, DevenvError, UsageError


def run_notify(arguments: Namespace) -> int:
    """Tell the webhook."""
    try:
        message, patience = _message(arguments, os.environ), Patience(timeout=arguments.timeout)
        webhook = Webhook(os.environ.get(VARIABLE, ""))
        webhook.send(message, patience)
    except DevenvError as error:
        if not arguments.ignore_errors:
            raise
        warn(f"Nobody was notified: {error.message}. {error.hint}", no_color=arguments.no_color)
        return EXIT_OK
    tell(f"{webhook.service} was told", no_color=arguments.no_color)
    return EXIT_OK


def _message(arguments: Namespace, environ: Mapping[str, str]) -> Message:
    for flag, value in (("--seconds", arguments.seconds), ("--timeout", arguments.timeout)):
        if value is not None and not (0 if flag == "--seconds" else 1e-3) <= value < float("inf"):
            raise UsageError(f"{flag} must be a number of seconds, not {value}")
    link = arguments.link or _run_of_github(environ)
    if link and urlsplit(link).scheme not in ("https", "http"):
        raise UsageError("--link must begin with https://", "For example the address of the run.")
    return Message(arguments.what, arguments.verdict, arguments.where, arguments.seconds, link)


def _run_of_github(environ: Mapping[str, str]) -> str:
    """Return the address of the run; https://docs.github.com/actions/reference/workflows-and-actions/variables."""
    names = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    server, repository, run = (environ.get(name, "") for name in names)
    return f"{server}/{repository}/actions/runs/{run}" if server and repository and run else ""
