"""What `minikube VERB --output json` prints: one CloudEvent a line; everything else it prints is kept as text.

Source: https://minikube.sigs.k8s.io/docs/contrib/json_output/ and pkg/minikube/out/register in kubernetes/minikube:
data of a step are currentstep, totalsteps, name and message; of a download artifact and progress (0 to 1); of an
error exitcode, name (the reason's id), message, advice, url, issues. All values are text. Seen from 1.12 to 1.30.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from devenv.control.stream import Remark
from devenv.core.model import Progress
from devenv.core.text import sanitize

_PREFIX = "io.k8s.sigs.minikube."


@dataclass(frozen=True, slots=True)
class MinikubeFailure:
    """Its final error: `name` is minikube's own id of the reason, `advice` what it says to do."""

    message: str
    advice: str = ""
    name: str = ""
    exit_code: int = 0


Event = Progress | Remark | MinikubeFailure


def parse_event(line: str | bytes) -> Event | None:
    """Read one line of either stream; None for an empty one and for a step without words."""
    text = sanitize(line).strip("␊ ")
    if not text:
        return None
    try:
        told = json.loads(line)
    except ValueError:
        return Remark(text)
    data = told.get("data") if isinstance(told, dict) else None
    if not isinstance(data, dict):
        return Remark(text)
    kind = str(told.get("type", "")).removeprefix(_PREFIX)
    message = _word(data, "message")
    if kind == "step":
        return _step(data, message)
    if kind in ("download", "download.progress"):
        return _download(data)
    if kind == "error":
        code = _word(data, "exitcode")
        url = _word(data, "url")
        advice = " ".join(filter(None, (_word(data, "advice"), f"See {url}" if url else "")))
        return MinikubeFailure(message, advice, _word(data, "name"), int(code) if code.isdecimal() else 0)
    if kind == "info":
        return Progress("minikube", message, "working") if message else None
    return Remark(message or text)


def _step(data: dict[str, Any], message: str) -> Progress | None:
    current, total = _word(data, "currentstep"), _word(data, "totalsteps")
    counts = (int(current), int(total)) if current.isdecimal() and total.isdecimal() else (None, None)
    name = _word(data, "name") or "minikube"
    done = counts[0] is not None and counts[0] == counts[1]
    return Progress(name, message, "done" if done else "working", current=counts[0], total=counts[1])


def _download(data: dict[str, Any]) -> Progress:
    try:
        share = float(_word(data, "progress") or 0)
    except ValueError:
        share = 0.0
    percent = round(100 * min(1.0, max(0.0, share)))
    status = "done" if percent == 100 else "working"
    return Progress(f"Download {_word(data, 'artifact')}", "Downloading", status, percent=percent)


def _word(data: dict[str, Any], key: str) -> str:
    return sanitize(str(data.get(key) or "")).strip("␊ ")
