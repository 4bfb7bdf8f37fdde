"""What a stack showed around a moment, as the text that a failure carries: nobody shall have to open a file first."""

from __future__ import annotations

from datetime import datetime

from devenv.core.model import LogLine
from devenv.core.text import mask_secrets
from devenv.verify.recorder import Recorder

LINES = 12  # log lines of each service
EVENTS = 4
WIDTH = 300  # characters of a log line


def explain(recorder: Recorder, at: float) -> str:
    """Return the last events, the last probe's answer and the newest log lines before `at`, and where the rest is."""
    text = [f"--- {recorder.project.name} at {_clock(at)} ---"]
    happenings = [item for item in recorder.happenings() if item.at <= at][-EVENTS:]
    if happenings:
        text += [
            f"event:      {_clock(item.at)} {recorder.service_of(item.key) or item.key[:19]} {item.text}"
            for item in happenings
        ]
    else:
        text.append("event:      none")
    probe = recorder.last_probe
    text.append(f"last probe: {f'{_clock(probe.at)} {probe}' if probe is not None else 'none'}")
    text += _lines(recorder, at)
    text.append(f"evidence:   devenv evidence {recorder.path}")
    return "\n".join(text)


def _lines(recorder: Recorder, at: float) -> list[str]:
    found: dict[str, list[LogLine]] = {}
    for line in recorder.lines():
        if line.at is None or line.at <= at:
            found.setdefault(recorder.service_of(line.key) or line.key[:19], []).append(line)
    if not found:
        return ["log:        nothing was printed"]
    return [
        f"log:        {_clock(line.at)} {service} | {mask_secrets(line.text)[:WIDTH]}"
        for service, lines in sorted(found.items())
        for line in lines[-LINES:]
    ]


def _clock(at: float | None) -> str:
    return datetime.fromtimestamp(at).strftime("%H:%M:%S.%f")[:-3] if at is not None else "?"
