"""The steps of the deployments' workflows, run as a runner does, where something is missing or broken (T119-T121).

What a real node answers is in tests/verify and tests/kube; here it is the scripts, their exit codes and what they say.
"""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from devenv.backends.kube.kinds import DEPLOYMENTS, Kind
from fakes.api_server import ApiServer
from tests.kube.kubelet import Kubelet

ROOT = Path(__file__).parents[2]
DIGEST = f"sha256:{'a' * 64}"
METADATA = (
    "{"
    + ", ".join(
        f'"{name}": {{"image.name": "ghcr.io/docsearch/{name}:abc", "containerimage.digest": "{DIGEST}"}}'
        for name in ("backend", "frontend")
    )
    + "}"
)


class Runner:
    """A home and a checkout of their own."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.checkout = folder / "checkout"
        self.home.mkdir()
        self.checkout.mkdir()
        for name in (".venv", "devenv.toml", "k8s", "compose", ".github"):
            (self.checkout / name).symlink_to((ROOT / name).resolve())

    def run(self, step: dict[str, Any], **environ: str) -> tuple[int, str]:
        """Run a step's script with these variables in place of its own; return exit code and all that was printed."""
        assert set(environ) <= set(step.get("env", {})), "what the step has"
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
        done = subprocess.run(
            ("bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"]),
            cwd=self.checkout,
            env={**kept, "HOME": str(self.home), "PYTHONPATH": str(ROOT), **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return done.returncode, done.stdout + done.stderr

    def kubeconfig(self, text: str) -> None:
        """Write what the secret KUBE_CONFIG says, as the action does."""
        action = yaml.safe_load((ROOT / ".github/actions/devenv/action.yml").read_text("utf-8"))
        (step,) = [one for one in action["runs"]["steps"] if "KUBE_CONFIG" in one.get("env", {})]
        assert step["if"] == "inputs.kubeconfig != ''"
        if text:
            assert self.run(step, KUBE_CONFIG=text)[0] == 0
            assert (self.home / ".kube/config").stat().st_mode & 0o077 == 0


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


def step_of(workflow: str, job: str) -> dict[str, Any]:
    """Return the job's step that calls devenv."""
    jobs = yaml.safe_load((ROOT / f".github/workflows/{workflow}.yml").read_text("utf-8"))["jobs"]
    (step,) = [one for one in jobs[job]["steps"] if ".venv/bin/devenv" in one.get("run", "")]
    found: dict[str, Any] = step
    return found


def cluster_config(server: str, context: str = "docsearch-staging") -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": context,
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "users": [{"name": "u", "user": {"token": "zq81xvTOKEN"}}],
            "contexts": [{"name": context, "context": {"cluster": "c", "user": "u", "namespace": "docsearch"}}],
        }
    )


def staging(api: ApiServer, folder: Path) -> str:
    """Return a kubeconfig of this server under the context's name in devenv.toml."""
    config = yaml.safe_load(api.kubeconfig(folder / "config").read_text())
    config["contexts"][0]["name"] = config["current-context"] = "docsearch-staging"
    return str(yaml.safe_dump(config))


class Application:
    """Serves what the proof of a deployment asks of docsearch, behind the ports that a kubelet forwards."""

    def __init__(self) -> None:
        self._documents = ""
        self._begun: dict[int, bytes] = {}  # requests whose body comes in a message of its own, by thread

    def serve(self, pod: str, received: bytes) -> bytes:
        request = self._begun.pop(threading.get_ident(), b"") + received
        head, _, body = request.partition(b"\r\n\r\n")
        if head.startswith(b"POST") and not body:
            self._begun[threading.get_ident()] = request
            return b""
        self._documents += body.decode()
        status, text = ("201 Created", '{"id": 1}') if head.startswith(b"POST") else ("200 OK", self._documents)
        return f"HTTP/1.1 {status}\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()


def test_a_broken_version_is_rolled_back_by_the_workflows_own_step(runner: Runner, tmp_path: Path) -> None:
    """T119 and T121: what was built is deployed by its digest and proven; what crashes goes back, and that serves."""
    step = step_of("staging-deploy", "deploy-to-staging")
    first = {**step, "run": step["run"].replace("--verify", "--include-platform --verify")}  # by an administrator, once
    broken = "b" * 64
    with ApiServer() as api:
        api.served.add(Kind("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", namespaced=False))
        api.on("GET", r"/api/v1/namespaces/[^/]+/pods/[^/]+/portforward", Kubelet(Application().serve).answer)
        api.controllers.behave(f"ghcr.io/docsearch/backend@sha256:{broken}", "crash")
        api.controllers.start(pace=0.02)
        runner.kubeconfig(staging(api, tmp_path))
        ended, said = runner.run(first, METADATA=METADATA)
        assert (ended, "succeeded" in said) == (0, True), said
        ended, said = runner.run(step, METADATA=METADATA.replace("a" * 64, broken))
        assert (ended, "rolled back" in said, "CrashLoopBackOff" in said) == (14, True, True), said
        served = api.operations.read(DEPLOYMENTS, "docsearch", "backend")["spec"]["template"]["spec"]["containers"][0]
        assert served["image"] == f"ghcr.io/docsearch/backend@{DIGEST}"
        api.controllers.stop()


@pytest.mark.parametrize(
    ("config", "code", "told"),
    [
        ("", 2, "kubeconfig"),
        ("not: [a", 2, "config"),
        (cluster_config("https://127.0.0.1:1"), 13, "Nothing listens"),
        (cluster_config("https://127.0.0.1:1", "somebody-elses"), 10, "somebody-elses"),
    ],
)
def test_without_a_cluster_it_says_what_to_do(runner: Runner, config: str, code: int, told: str) -> None:
    runner.kubeconfig(config)
    ended, said = runner.run(step_of("staging-deploy", "deploy-to-staging"), METADATA=METADATA)
    assert (ended, told in said) == (code, True), said
    assert "zq81xvTOKEN" not in said


@pytest.mark.parametrize(
    ("workflow", "job", "environ", "told"),
    [
        ("staging-deploy", "deploy-to-staging", {"METADATA": ""}, "build.json"),
        ("staging-deploy", "deploy-to-staging", {"METADATA": "{}"}, "names no image"),
        ("staging-deploy", "health-check", {"METADATA": METADATA, "ADDRESS": ""}, "--available '' is no address"),
        ("production-deploy", "deploy-to-production", {"ADDRESS": ""}, "--available '' is no address"),
    ],
)
def test_a_variable_that_is_missing_is_a_mistake_and_not_a_check_less(
    runner: Runner, workflow: str, job: str, environ: dict[str, str], told: str
) -> None:
    runner.kubeconfig(cluster_config("https://127.0.0.1:1", "docsearch-production"))
    ended, said = runner.run(step_of(workflow, job), **environ)
    assert (ended, told in said) == (2, True), said


def test_a_token_that_has_expired_is_told(runner: Runner, tmp_path: Path) -> None:
    with ApiServer() as api:
        api.faults.token = "another"
        runner.kubeconfig(staging(api, tmp_path))
        ended, said = runner.run(step_of("staging-deploy", "deploy-to-staging"), METADATA=METADATA)
    assert ended == 4, said


def test_production_is_not_released_from_what_nobody_proved(runner: Runner, tmp_path: Path) -> None:
    """T120: its first job ends the workflow."""
    with ApiServer() as api:
        runner.kubeconfig(staging(api, tmp_path))
        ended, said = runner.run(step_of("production-deploy", "promote"))
    assert (ended, "No verified run knows" in said) == (10, True), said
    assert "0000000" in (ROOT / "k8s/overlays/production/kustomization.yaml").read_text()


def test_a_message_that_nobody_gets_fails_no_job(runner: Runner) -> None:
    for workflow, job in (("staging-deploy", "notify"), ("production-deploy", "notify-production")):
        step = step_of(workflow, job)
        for webhook in ("", "https://127.0.0.1:1/services/zq81xvTOKEN"):
            ended, said = runner.run(step, VERDICT="failed", BEGAN="", NOTIFICATION_WEBHOOK=webhook)
            assert (ended, "Nobody was notified" in said) == (0, True), said
            assert "zq81xvTOKEN" not in said
