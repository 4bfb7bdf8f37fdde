"""One container of a pod in words: what it waits for, how it ended last, whether it is ready."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from devenv.backends.kube.parse.common import mapping, number, text, time_of, word

CREATING: Final = ("ContainerCreating", "PodInitializing", "")
_SIGNALS: Final = {6: "SIGABRT", 9: "SIGKILL", 11: "SIGSEGV", 15: "SIGTERM"}
# kubelet's and the runtime's words (pkg/kubelet/images/types.go, pkg/kubelet/container/sync_result.go).
_WAITING: Final = {
    "ErrImagePull": "its image cannot be pulled",
    "ImagePullBackOff": "its image cannot be pulled",
    "ErrImageNeverPull": "its image is not on the node and must not be pulled",
    "InvalidImageName": "its image's name is not valid",
    "ErrImageInspect": "its image cannot be inspected",
    "RegistryUnavailable": "the image registry does not answer",
    "CrashLoopBackOff": "crash loop",
    "CreateContainerConfigError": "its configuration is incomplete",
    "CreateContainerError": "it cannot be created",
    "RunContainerError": "it cannot be started",
    "StartError": "it cannot be started",
    "PostStartHookError": "its postStart hook failed",
}
_BACK_OFF: Final = "back-off "


def is_waiting_in_vain(status: Mapping[str, Any]) -> bool:
    """Whether the container waits for something that does not come by waiting."""
    waiting = mapping(status.get("state")).get("waiting")
    return isinstance(waiting, dict) and waiting.get("reason") not in CREATING


def is_looping(status: Mapping[str, Any]) -> bool:
    """Whether the container crashed and the kubelet holds its next start back."""
    return mapping(mapping(status.get("state")).get("waiting")).get("reason") == "CrashLoopBackOff"


def last_end(status: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return how the container ended last: now, or before its present run."""
    ended = mapping(status.get("state")).get("terminated") or mapping(status.get("lastState")).get("terminated")
    return mapping(ended)


def end_words(ended: Mapping[str, Any]) -> str:
    """Say an end: exit code, signal, out of memory, the container's own termination message."""
    code, reason = number(ended.get("exitCode")), word(ended.get("reason"))
    if reason == "OOMKilled":
        return f"out of memory, exit code {code}"
    message = text(ended.get("message"))
    if reason == "ContainerStatusUnknown":
        return f"lost: {message}" if message else "lost"
    told = f"exit code {code}"
    if 128 < code < 160:  # a shell's way to say: ended by signal n (POSIX shell, 2.8.2)
        told += f" ({_SIGNALS.get(code - 128, f'signal {code - 128}')})"
    if reason not in ("Error", "Completed", ""):
        told = f"{reason}, {told}"
    return f"{told}: {message}" if message else told


def waiting_words(status: Mapping[str, Any]) -> str:
    """Say what a waiting container waits for; "" where it is only being created."""
    waiting = mapping(mapping(status.get("state")).get("waiting"))
    reason = word(waiting.get("reason"))
    if reason in CREATING:
        return ""
    message = text(waiting.get("message"))
    told = _WAITING.get(reason, reason)
    if reason == "CrashLoopBackOff":
        ended, count = last_end(status), number(status.get("restartCount"))
        told += f", {end_words(ended)}" if ended else ""
        told += f", {_times(count)}" if count else ""
        pause = message.removeprefix(_BACK_OFF).partition(" ")[0] if message.startswith(_BACK_OFF) else ""
        return f"{told}, next start within {pause}" if pause else told
    return f"{told} ({reason}): {message}" if message else f"{told} ({reason})"


def restart_words(status: Mapping[str, Any]) -> str:
    """Say how often and why the container was started again; "" where it never was."""
    count, ended = number(status.get("restartCount")), last_end(status)
    if not count:
        return ""
    return f"{_times(count)}, last {end_words(ended)}" if ended else _times(count)


def started_at(status: Mapping[str, Any]) -> float | None:
    """Return when its present run began."""
    return time_of(mapping(mapping(status.get("state")).get("running")).get("startedAt"))


def _times(count: int) -> str:
    return "restarted once" if count == 1 else f"restarted {count} times"
