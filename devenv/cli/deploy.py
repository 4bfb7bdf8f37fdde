"""`devenv deploy`: bring an overlay to a cluster, wait, prove that it serves, and go back when it does not."""

from __future__ import annotations

import json
import sys
from argparse import Namespace

from devenv.cli.console import colors_wanted, paint, tell_error, warn
from devenv.cli.deploy_rig import DeployCall
from devenv.cli.deploy_text import Progress, to_text
from devenv.control.deploy.outcome import Outcome
from devenv.control.deploy.pipeline import Deployment
from devenv.core.errors import EXIT_INTERRUPTED, EXIT_OK, DevenvError, ServiceFailed
from devenv.verify.deployments import remember
from devenv.verify.history import History


def run(arguments: Namespace) -> int:
    """Deploy, and return the exit code of the verdict; what ended it before any change is told as an error."""
    progress = Progress(no_color=arguments.no_color)
    call = DeployCall(arguments, progress)
    deployment = Deployment(call.options(), call.services())
    failure: DevenvError | None = None
    try:
        outcome = deployment.run()
        failure = ServiceFailed(outcome.reason) if outcome.exit_code != EXIT_OK else None
    except DevenvError as error:
        failure, outcome = error, deployment.outcome
    finally:
        if call.ticket is not None:
            call.guard.finish(call.ticket, failure or sys.exc_info()[1])
        call.client.close()
    _show(arguments, outcome, failure)
    try:
        remember(History(), outcome, call.project_name, call.root, call.config.verify.budgets)
    except DevenvError as error:  # what happened in the cluster is not undone by a history that cannot be written
        warn(error.message, no_color=arguments.no_color)
    return outcome.exit_code


def _show(arguments: Namespace, outcome: Outcome, failure: DevenvError | None) -> None:
    if arguments.json:
        sys.stdout.write(json.dumps(outcome.to_data(), indent=2, ensure_ascii=False) + "\n")
    elif failure is None or (outcome.changed and outcome.exit_code != EXIT_INTERRUPTED):
        colored = colors_wanted(sys.stdout, no_color=arguments.no_color)
        lines = to_text(outcome, lambda text, color: paint(text, color, colored), diff=arguments.diff)
        sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
    if failure is not None and (not outcome.changed or outcome.exit_code == EXIT_INTERRUPTED):
        tell_error(failure, no_color=arguments.no_color)
