"""Run a Kubernetes workload's container on the engine as its rendered manifest says, and ask it what its probes ask."""

from __future__ import annotations

import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
from stack_images import Images, run

from tests.k8s.k8s_rendering import Object, Rendering, container, cpu


class Pod:
    """One running container of a workload."""

    def __init__(self, workload: Object, name: str) -> None:
        self.workload = workload
        self.name = name

    @property
    def container(self) -> Object:
        return container(self.workload["spec"])

    def execute(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["docker", "exec", self.name, *command], capture_output=True, text=True, timeout=30, check=False
        )

    def url(self) -> str:
        (port,) = self.container["ports"]
        return "http://" + run("docker", "port", self.name, f"{port['containerPort']}/tcp").splitlines()[0]

    def passes(self, probe: str) -> str:
        """Ask once what a probe asks; returns why it fails, empty when it passes."""
        asked = self.container[probe]
        if "exec" in asked:
            done = self.execute(*asked["exec"]["command"])
            return "" if done.returncode == 0 else f"{done.stdout}{done.stderr}"
        (port,) = self.container["ports"]
        assert asked["httpGet"]["port"] in (port["name"], port["containerPort"])
        try:
            answer = httpx.get(
                self.url() + asked["httpGet"]["path"], timeout=asked.get("timeoutSeconds", 1), trust_env=False
            )
        except httpx.TransportError as error:
            return str(error) or type(error).__name__
        return "" if answer.status_code == 200 else f"{answer.status_code} {answer.text}"

    def start(self) -> None:
        """Wait as long as the kubelet does for the startup probe, then for the readiness probe."""
        for probe in ("startupProbe", "readinessProbe"):
            asked = self.container[probe]
            deadline = time.monotonic() + asked["periodSeconds"] * asked["failureThreshold"]
            while why := self.passes(probe):
                assert time.monotonic() < deadline, f"{self.name}: {probe}: {why}\n{self.logs()}"
                time.sleep(0.1)

    def logs(self) -> str:
        done = subprocess.run(["docker", "logs", "--tail=40", self.name], capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    def stop(self) -> int:
        """Stop as the kubelet does and return the exit code."""
        grace = self.workload["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        run("docker", "stop", "--time", str(grace), self.name)
        return int(run("docker", "inspect", "--format", "{{.State.ExitCode}}", self.name))


@contextmanager
def pods(rendering: Rendering, names: list[str], images: Images, secrets: Path) -> Iterator[dict[str, Pod]]:
    """Start workloads in order, each when the one before is ready; nothing of them is left afterwards.

    `secrets` has a folder for each Secret, in place of what only a cluster has.
    """
    project = f"devenv-test-{uuid.uuid4().hex[:8]}"
    with ExitStack() as stack:
        run("docker", "network", "create", project)
        stack.callback(run, "docker", "network", "rm", project)
        started: dict[str, Pod] = {}
        for name in names:
            (workload,) = [item for item in rendering.workloads() if item["metadata"]["name"] == name]
            pod = Pod(workload, f"{project}-{name}")
            command = _docker_run(rendering, workload, pod.name, images.name(name), project, secrets)
            stack.callback(run, "docker", "rm", "--force", "--volumes", pod.name)
            run(*command)
            pod.start()
            started[name] = pod
        yield started


def _docker_run(
    rendering: Rendering, workload: Object, name: str, image: str, network: str, secrets: Path
) -> list[str]:
    spec = workload["spec"]["template"]["spec"]
    context = {**spec["securityContext"], **container(workload["spec"])["securityContext"]}
    limits = container(workload["spec"])["resources"]["limits"]
    command = ["docker", "run", "--detach", "--name", name, "--network", network]
    command += ["--network-alias", workload["metadata"]["name"]]
    command += ["--user", f"{context['runAsUser']}:{context['runAsGroup']}"]
    command += ["--group-add", str(context["fsGroup"])] if "fsGroup" in context else []
    command += ["--read-only"] if context["readOnlyRootFilesystem"] else []
    command += [word for each in context["capabilities"]["drop"] for word in ("--cap-drop", each)]
    command += [] if context["allowPrivilegeEscalation"] else ["--security-opt", "no-new-privileges"]
    command += ["--memory", _docker_size(limits["memory"]), "--cpus", str(cpu(limits["cpu"]))]
    for variable, value in rendering.config(workload).items():
        command += ["--env", f"{variable}={value}"]
    for port in container(workload["spec"])["ports"]:
        command += ["--publish", f"127.0.0.1::{port['containerPort']}"]
    for mount in container(workload["spec"])["volumeMounts"]:
        command += _mount(mount, workload, secrets)
    return [*command, image]


def _mount(mount: dict[str, Any], workload: Object, secrets: Path) -> list[str]:
    path = mount["mountPath"]
    volumes = {volume["name"]: volume for volume in workload["spec"]["template"]["spec"]["volumes"]}
    volume = volumes.get(mount["name"])
    if volume is None:
        claims = [each["metadata"]["name"] for each in workload["spec"].get("volumeClaimTemplates", [])]
        assert mount["name"] in claims, f"{mount['name']} is mounted, but is no volume"
        return ["--mount", f"type=volume,target={path}"]
    if "emptyDir" in volume:
        return ["--tmpfs", f"{path}:size={_docker_size(volume['emptyDir']['sizeLimit'])},mode=0777"]
    if "persistentVolumeClaim" in volume:
        return ["--mount", f"type=volume,target={path}"]
    folder = secrets / volume["secret"]["secretName"].split("-")[0]
    assert folder.is_dir(), f"the Secret {folder.name} is not there"
    assert mount["readOnly"] is True
    return ["--mount", f"type=bind,source={folder},target={path},readonly"]


def _docker_size(text: str) -> str:
    return text.removesuffix("i").lower()
