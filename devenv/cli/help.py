"""What `--help` shows beside the options: commands by group, an example each, and what a shell completes.

It is laid over the parser when that is whole, so that a command is described where it is added.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Final

GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "look": ("tui", "status", "ps", "top", "port", "images", "logs", "doctor", "config", "audit-log", "keys"),
    "change the project": (
        *("up", "down", "restart", "stop", "start", "exec", "cp"),
        *("kill", "pause", "unpause", "rm", "pull", "scale", "prune"),
    ),
    "build, and work on it": ("build", "watch", "run", "cache", "ci"),
    "prove that it works": ("init", "verify", "audit", "history", "evidence", "load", "manifests", "secrets", "scan"),
    "for agents": ("mcp",),
    "the cluster": ("deploy", "release", "kube", "kubectl", "minikube"),
}
_LAST: Final = "and"  # what is in no group above

EXAMPLES: Final[Mapping[str, str]] = {
    "up": "devenv up --wait",
    "down": "devenv down --volumes",
    "restart": "devenv restart backend",
    "stop": "devenv stop backend -t 5",
    "start": "devenv start backend",
    "prune": "devenv prune --dry-run",
    "build": "devenv build --why frontend",
    "run": "devenv run lint test --affected",
    "cache": "devenv cache info",
    "cache info": "devenv cache info --json",
    "cache clean": "devenv cache clean",
    "cache export": "devenv cache export /mnt/results",
    "cache import": "devenv cache import /mnt/results",
    "ci": "devenv ci pr",
    "ci list": "devenv ci list",
    "ci pr": "devenv ci pr --job lint-backend",
    "notify": 'devenv notify "deploy staging" --verdict failed --where docsearch',
    "watch": "devenv watch --up",
    "status": "devenv status --watch backend",
    "doctor": "devenv doctor ports memory",
    "config": "devenv config kubernetes",
    "tui": "devenv tui --read-only",
    "audit-log": "devenv audit-log --tail 10",
    "keys": "devenv keys",
    "manifests": "devenv manifests check",
    "manifests check": "devenv manifests check --overlay dev",
    "manifests rules": "devenv manifests rules --markdown",
    "secrets": "devenv secrets check",
    "secrets check": "devenv secrets check --no-images",
    "secrets list": "devenv secrets list --overlay staging",
    "verify": "devenv verify -k reload",
    "init": "devenv init",
    "audit": "devenv audit --target all --markdown docs/AUDIT.md",
    "history": "devenv history cold_start",
    "evidence": "devenv evidence ~/.local/state/devenv/last-verify",
    "load": "devenv load report loadtests/results/steady",
    "load report": "devenv load report loadtests/results/steady --json",
    "load plugin": "locust -f locustfile.py,$(devenv load plugin)",
    "load tui": "devenv load tui",
    "deploy": "devenv deploy dev --verify --rollback-on-failure",
    "kube": "devenv kube logs -f deployment/backend",
    "kube contexts": "devenv kube contexts",
    "kube events": "devenv kube events --warnings --for deployment/backend",
    "kube apply": "devenv kube apply -k k8s/overlays/dev --dry-run",
    "kube rollout": "devenv kube rollout status --watch deployment/backend",
    "kube rollout undo": "devenv kube rollout undo deployment/backend",
    "kube rollout status": "devenv kube rollout status --watch deployment/backend",
    "kube rollout history": "devenv kube rollout history deployment/backend",
    "kube forward": "devenv kube forward service/frontend 3000",
    "kube port-forward": "devenv kube port-forward service/frontend 8080:3000",
    "kube load": "devenv kube load docsearch-backend:dev",
    "mcp": "devenv mcp --read-only",
    "scan": "devenv scan --overlay production",
    "release": "devenv release production --from staging",
    "completion": 'eval "$(devenv completion bash)"',
}

# Options of the other runtime are taken, since scripts set them for every command, and are not shown.
_COMPOSE: Final = ("up", "down", "restart", "stop", "start", "build", "watch", "logs", "init", "run", "cache", "ci")
_HIDDEN: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(_COMPOSE, ("context", "namespace")),
    "kube": ("files", "project_name", "profiles", "env_files", "project_directory"),
}

# What a shell completes a word or an option's value with, by its name in the namespace: cli/completion.py, ANSWERS.
_ANSWERS: Final[Mapping[str, str]] = {
    "services": "services",
    "context": "contexts",
    "namespace": "namespaces",
    "overlay": "overlays",
    "overlays": "overlays",
    "jobs": "jobs",
    "tasks": "tasks",
    "checks": "checks",
    "keys": "settings",
    "why": "services",
    "target": "objects",
    "targets": "objects",
    "about": "objects",
    "criterion": "criteria",
}


class GroupedHelp(argparse.RawDescriptionHelpFormatter):
    """Shows the commands by group."""

    def _format_action(self, action: argparse.Action) -> str:
        """Format one action: of the commands, each group with its title."""
        if not isinstance(action, argparse._SubParsersAction):
            return super()._format_action(action)
        listed = {item.dest: item for item in self._iter_indented_subactions(action)}
        groups = {title: [name for name in names if name in listed] for title, names in GROUPS.items()}
        known = {name for names in groups.values() for name in names}
        groups[_LAST] = [name for name in listed if name not in known]
        lines = []
        for title, names in groups.items():
            lines.append(f"{'':{self._current_indent}}{title}:\n")
            self._indent()
            lines += [super(GroupedHelp, self)._format_action(listed[name]) for name in names]
            self._dedent()
        return "".join(lines)


def complete_help(parser: argparse.ArgumentParser) -> None:
    """Lay examples, hidden options and completions over a parser that has all its commands."""
    for name, command in commands_of(parser):
        if name in EXAMPLES:
            below = f"\n\n{command.epilog}" if command.epilog else ""
            command.epilog = f"example:\n  {EXAMPLES[name]}{below}"
            command.formatter_class = argparse.RawDescriptionHelpFormatter
        hidden = _HIDDEN.get(name.partition(" ")[0], ())
        for action in command._actions:
            dest = action.dest.removeprefix("after_")
            if dest in hidden and action.dest != dest:
                action.help = argparse.SUPPRESS
            _complete(action, dest)
    for action in parser._actions:
        _complete(action, action.dest.removeprefix("before_"))


def commands_of(parser: argparse.ArgumentParser, before: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield every command with its name, those below others as "kube rollout undo"."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, command in action.choices.items():
                yield f"{before}{word}", command
                yield from commands_of(command, f"{before}{word} ")


def _complete(action: argparse.Action, dest: str) -> None:
    answers = _ANSWERS.get(dest)
    if answers is None or action.choices is not None:
        return

    def completer(prefix: str, parsed_args: argparse.Namespace, **_: object) -> list[str]:
        completions: list[str] = import_module("devenv.cli.completion").ANSWERS[answers](parsed_args, prefix)
        return completions

    action.completer = completer  # type: ignore[attr-defined]  # argcomplete's documented way
