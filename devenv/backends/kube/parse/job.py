"""Jobs and cron jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from devenv.backends.kube.parse.common import (
    Parsed,
    base,
    conditions,
    facts,
    joined,
    mapping,
    mappings,
    number,
    owner_of,
    time_of,
    why_not,
    word,
)
from devenv.core.model import Health, State


def parse_job(raw: Mapping[str, Any], context: str) -> Parsed:
    """Make a resource of a Job: EXITED with code 0 when complete, with 1 when failed (the pods know the real code)."""
    spec, status, meta = mapping(raw.get("spec")), mapping(raw.get("status")), mapping(raw.get("metadata"))
    told = conditions(status)
    complete, failed = _holds(told, "Complete"), _holds(told, "Failed")
    printed = _status(told, leaving=bool(meta.get("deletionTimestamp")))
    wanted = 1 if spec.get("completions") is None else number(spec.get("completions"))
    done, bad, active = (number(status.get(name)) for name in ("succeeded", "failed", "active"))
    suspended = spec.get("suspend") is True
    words = [
        why_not(told.get("Failed")) if failed else "",
        "suspended" if suspended and not (complete or failed) else "",
        f"{bad} of its pods failed" if bad else "",
    ]
    state = State.EXITED if complete or failed else State.PAUSED if suspended else State.RUNNING
    _, owner, _ = owner_of(meta)
    resource = base(
        raw,
        "job",
        context,
        state,
        service=owner or word(meta.get("name")),
        health=Health.UNHEALTHY if failed else Health.STARTING if state is State.RUNNING else Health.NONE,
        image=_image(spec),
        status=printed,
        leaving_status=printed,
        started_at=time_of(status.get("startTime")),
        finished_at=time_of(status.get("completionTime") or mapping(told.get("Failed")).get("lastTransitionTime")),
        exit_code=0 if complete else 1 if failed else None,
        why=joined(words),
        ready=(done, wanted),
        facts=facts(
            ("active", str(active)),
            ("succeeded", str(done)),
            ("failed", str(bad)),
            ("backoff limit", str(spec.get("backoffLimit", ""))),
        ),
    )
    return Parsed(resource, () if complete or failed else ("FailedCreate",))


def parse_cron_job(raw: Mapping[str, Any], context: str) -> Parsed:
    """Make a resource of a CronJob."""
    spec, status = mapping(raw.get("spec")), mapping(raw.get("status"))
    active = len(mappings(status.get("active")))
    suspended = spec.get("suspend") is True
    template = mapping(mapping(spec.get("jobTemplate")).get("spec"))
    resource = base(
        raw,
        "cronjob",
        context,
        State.PAUSED if suspended else State.RUNNING,
        service=word(mapping(raw.get("metadata")).get("name")),
        image=_image(template),
        status="Suspended" if suspended else f"{active} active",
        started_at=time_of(status.get("lastScheduleTime")),
        finished_at=time_of(status.get("lastSuccessfulTime")),
        why="suspended: makes no jobs" if suspended else "",
        facts=facts(
            ("schedule", word(spec.get("schedule"))),
            ("time zone", word(spec.get("timeZone"))),
            ("last schedule", word(status.get("lastScheduleTime"))),
            ("last success", word(status.get("lastSuccessfulTime"))),
            ("active", str(active)),
        ),
    )
    return Parsed(resource, ("FailedCreate", "UnparseableSchedule", "FailedNeedsStart", "TooManyMissedTimes"))


def _status(told: Mapping[str, Mapping[str, Any]], *, leaving: bool) -> str:
    """Return kubectl's word (printJob): how it ended, else what the controller does with it."""
    words = (
        *(("Complete", "Complete"), ("Failed", "Failed")),
        *((("", "Terminating"),) if leaving else ()),
        *(("Suspended", "Suspended"), ("FailureTarget", "FailureTarget"), ("SuccessCriteriaMet", "SuccessCriteriaMet")),
    )
    return next((word for condition, word in words if not condition or _holds(told, condition)), "Running")


def _holds(told: Mapping[str, Mapping[str, Any]], name: str) -> bool:
    return mapping(told.get(name)).get("status") == "True"


def _image(spec: Mapping[str, Any]) -> str:
    template = mapping(mapping(spec.get("template")).get("spec"))
    return word(next((item.get("image") for item in mappings(template.get("containers"))), ""))
