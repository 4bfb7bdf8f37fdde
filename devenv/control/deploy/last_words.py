"""The newest log lines of a pod that holds a rollout back."""

from __future__ import annotations

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import KubeError
from devenv.backends.kube.kinds import PODS
from devenv.control.kube.wait import Stuck
from devenv.core.text import mask_secrets, sanitize

LINES = 10
_WIDTH = 400  # characters of one line
_UNREADABLE = (400, 403, 404)  # no container has started, no permission, or no such pod any more


def last_words(client: KubeClient, stuck: Stuck) -> list[str]:
    """Return them with secrets masked: those of the container that ended, else those of the one that runs."""
    if not stuck.subject or stuck.subject == stuck.workload.partition("/")[2]:
        return []
    path = PODS.path(stuck.namespace, stuck.subject, "log")
    for previous in ("true", "false"):
        try:
            text = client.request("GET", path, query={"tailLines": LINES, "previous": previous}, accept="*/*")
        except KubeError as error:
            if error.status in _UNREADABLE:
                continue
            return [f"its log cannot be read: {error.message}"]
        lines = [line for line in sanitize(str(text), newlines=True).splitlines() if line.strip()]
        if lines:
            return [f"{stuck.subject} said: {mask_secrets(line)[:_WIDTH]}" for line in lines]
    return []
