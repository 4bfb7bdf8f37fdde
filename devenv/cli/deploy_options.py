"""What may be typed after `devenv deploy`."""

from __future__ import annotations

import argparse

from devenv.cli.options import add_project_options

_Commands = argparse._SubParsersAction  # argparse gives the type no public name
_EPILOG = """exit codes:
  0 succeeded (also: applied without --wait, or a dry run)
  7 failed, and left as it is       10 refused: the context, no confirmation, or another deployment runs
 11 the manifests have errors       12 inconclusive: it may work, a part of the proof was not possible
 13 no cluster                      14 failed and rolled back: what ran before serves again"""


def add_deploy_command(commands: _Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    what = "apply an overlay to a cluster, wait, prove that it serves, go back if not"
    deploy = commands.add_parser(
        "deploy",
        help=what,
        description=f"{what[0].upper()}{what[1:]} (docs/DEPLOY.md).",
        epilog=_EPILOG,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    deploy.add_argument("overlay", metavar="OVERLAY", help="its name in devenv.toml, or its folder")
    deploy.add_argument("--wait", action="store_true", help="wait until it is rolled out, or cannot be")
    deploy.add_argument(
        "--verify", action="store_true", help="wait, then ask endpoints, image digests and data through the cluster"
    )
    deploy.add_argument(
        "--rollback-on-failure", action="store_true", help="wait; on a failure go back to what ran, and prove it"
    )
    deploy.add_argument("--dry-run", action="store_true", help="render, check and show the changes; change nothing")
    deploy.add_argument("--timeout", type=_seconds, default=180.0, metavar="S", help="seconds to wait (default 180)")
    deploy.add_argument("--no-build", action="store_true", help="do not build and load or push images")
    deploy.add_argument("--push", action="store_true", help="push built images to the registry that their name says")
    deploy.add_argument(
        "--image", action="append", dest="images", metavar="NAME=REF", help="run this image instead; may be repeated"
    )
    deploy.add_argument(
        "--prune",
        action="store_true",
        help="wait, then delete what an earlier deployment applied and this lacks; asks",
    )
    deploy.add_argument("--prune-data", action="store_true", help="with --prune, also claims of volumes")
    deploy.add_argument("--include-platform", action="store_true", help="also the administrator's part (k8s/README.md)")
    deploy.add_argument("--force-conflicts", action="store_true", help="take over fields that others own")
    deploy.add_argument("--yes", "-y", action="store_true", help="do not ask; asked are clusters of others and --prune")
    deploy.add_argument("--json", action="store_true", help="the result as JSON (docs/DEPLOY.md)")
    deploy.add_argument("--diff", action="store_true", help="print the differences that are applied")
    add_project_options(deploy, "after_")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return seconds
