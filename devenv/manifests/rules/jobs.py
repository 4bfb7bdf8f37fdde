"""Jobs: that they end, and that they leave nothing behind."""

from __future__ import annotations

from collections.abc import Iterator

from devenv.manifests import access
from devenv.manifests.model import ObjectPath, Problem
from devenv.manifests.registry import ERROR, rule
from devenv.manifests.rendering import Rendering

_TTL = "ttlSecondsAfterFinished"


@rule(
    "job-ttl",
    source="kube-linter job-ttl-seconds-after-finished",
    fix="Set ttlSecondsAfterFinished on a Job; leave it out of a CronJob, whose history limits do the same.",
)
def job_ttl(rendering: Rendering) -> Iterator[Problem]:
    """A finished Job stays with its pods until somebody deletes it; a CronJob already has limits that would clash."""
    for job in rendering.of("batch", "Job"):
        if access.get(job.data, "spec", _TTL) is None:
            yield Problem(job, ("spec",), "stays for ever after it has finished")
    path: ObjectPath = ("spec", "jobTemplate", "spec", _TTL)
    for job in rendering.of("batch", "CronJob"):
        if access.get(job.data, *path) is not None:
            yield Problem(job, path, "has a time to live beside the CronJob's history limits")


@rule(
    "job-restart-policy",
    source="Kubernetes: Jobs, pod template: only Never or OnFailure",
    fix="restartPolicy: Never, or OnFailure.",
    severity=ERROR,
)
def job_restart_policy(rendering: Rendering) -> Iterator[Problem]:
    """The API server refuses a Job whose pods would be started again after they have succeeded."""
    for workload in rendering.workloads:
        policy = access.text(workload.pod, "restartPolicy")
        if workload.kind in ("Job", "CronJob") and policy not in ("Never", "OnFailure"):
            message = f"restartPolicy is {policy or 'left to the default Always'}"
            yield Problem(workload.manifest, (*workload.pod_path, "restartPolicy"), message)
