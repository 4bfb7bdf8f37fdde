"""The fixtures of smoke tests on Kubernetes, and pods that tests make beside the services.

Such pods call services from inside, and show what the network lets through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from devenv.backends.kube.errors import Conflict
from devenv.backends.kube.kinds import PODS, Kind
from devenv.backends.kube.pod_start import pod_trouble
from devenv.control.kube.wait import Patience
from devenv.core.errors import DevenvError, UsageError
from devenv.verify.kube.cluster import EVERY, Cluster, read_pod
from devenv.verify.kube.driver import KubeStack
from devenv.verify.kube.source import Object, containers_of
from devenv.verify.session import INCONCLUSIVE, Session
from devenv.verify.waiting import Lasting, VerificationFailed, wait_until

POLICIES: Final = Kind("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
ROLE: Final = "devenv.io/role"
CLIENT: Final = "devenv-client"
WAITS: Final = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [15]); signal.sigwait([15])"
_WITHIN: Final = 60.0


def client_pod(stack: KubeStack) -> str:
    """Return the name of a pod that may call every service, made at the first call; whatever the overlay's policies."""
    labels = {ROLE: CLIENT}
    _make(stack, POLICIES, _policy(stack, f"{CLIENT}-out", labels, {"egress": [{}], "policyTypes": ["Egress"]}))
    source = {"from": [{"podSelector": {"matchLabels": labels}}]}
    _make(stack, POLICIES, _policy(stack, f"{CLIENT}-in", {}, {"ingress": [source], "policyTypes": ["Ingress"]}))
    return helper_pod(stack, CLIENT, labels)


def helper_pod(stack: KubeStack, name: str, labels: dict[str, str], program: str = WAITS) -> str:
    """Return the name of a pod that runs a Python program, made where it is not there, when it runs."""
    pod = like_service(stack, _client_service(stack), name, labels)
    container = pod["spec"]["containers"][0]
    container["command"] = ["python3", "-c", program]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe", "lifecycle", "envFrom", "ports"):
        container.pop(probe, None)
    pod["spec"]["terminationGracePeriodSeconds"] = 1
    kept = [volume for volume in pod["spec"].get("volumes") or () if "emptyDir" in volume]
    pod["spec"]["volumes"] = kept
    names = {volume["name"] for volume in kept}
    container["volumeMounts"] = [item for item in container.get("volumeMounts") or () if item["name"] in names]
    _make(stack, PODS, pod)

    lasting = Lasting()

    def look() -> str:
        seen = read_pod(stack.driver.client.get(PODS.path(stack.name, name)), "")
        trouble = pod_trouble(seen.seen)
        if trouble is not None:
            lasting.look(f"the pod {name} cannot run: {trouble.reason}, {trouble.text}", Patience().allows(trouble))
        return seen.status

    wait_until(f"the pod {name} to run", look, _WITHIN, lambda status: status == "Running", every=EVERY)
    return name


def like_service(stack: KubeStack, service: str, name: str, labels: dict[str, str]) -> Object:
    """Return a pod with what a service's pods are made of, but for labels: no Service and no policy knows it."""
    template = stack.engine.workload(service)["spec"]["template"]
    spec: dict[str, Any] = dict(template["spec"])
    spec.pop("topologySpreadConstraints", None)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": stack.name, "labels": labels},
        "spec": spec,
    }


def _client_service(stack: KubeStack) -> str:
    name = stack.settings.kubernetes.client or next(iter(stack.services), "")
    if name not in stack.services:
        raise UsageError(
            f"devenv.toml: verify.kubernetes.client is {name!r}, which is not a workload of the overlay",
            f"There are: {', '.join(stack.services)}.",
        )
    assert containers_of(stack.services[name]["spec"]["template"]["spec"])
    return name


def _policy(stack: KubeStack, name: str, pods: dict[str, str], rules: dict[str, Any]) -> Object:
    return {
        "apiVersion": POLICIES.api,
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": stack.name},
        "spec": {"podSelector": {"matchLabels": pods} if pods else {}, **rules},
    }


def _make(stack: KubeStack, kind: Kind, item: Object) -> None:
    try:
        stack.engine.create(kind, item)
    except Conflict:
        stack.mark(f"{kind.name} {item['metadata']['name']} is there")


Change = Callable[[list[Object]], None]


@pytest.fixture
def cluster(stack: Any) -> Cluster:
    """The shared namespace as the cluster sees it: `cluster.pods("web")`, `.container("web")`, `.exec("web", "id")`.

    `.logs`, `.events`, `.addresses` (the pods that a Service leads to), `.scale`, `.delete`, `.patch`. It is what
    `engine` is in tests for both runtimes.
    """
    engine: Cluster = stack.engine
    return engine


@pytest.fixture
def fresh_namespace(verify_session: Session) -> Iterator[Callable[..., KubeStack]]:
    """Make a namespace of the test's own, which is removed at its end: `stack = fresh_namespace()`.

    `fresh_namespace("staging")` takes another overlay, `change=function` alters the list of its objects before they are
    applied, `up=False` does not apply them.
    """
    if verify_session.config.option.devenv_running:
        pytest.skip(f"{INCONCLUSIVE}it needs an isolated copy, and --running tests what is up")
    environments = verify_session.kube_environments()
    made: list[KubeStack] = []

    def make(overlay: str = "", up: bool = True, change: Change | None = None) -> KubeStack:
        made.append(environments.isolated(overlay, change))
        if up:
            made[-1].up()
        return made[-1]

    try:
        yield make
    finally:
        for item in made:
            environments.remove(item)


@pytest.fixture(scope="session")
def rolling_copy(verify_session: Session, target: str) -> Iterator[KubeStack]:
    """The copy behind `rolling_stack`, made once: of the overlay that [verify.kubernetes] rolling names."""
    if verify_session.config.option.devenv_running:
        pytest.skip(f"{INCONCLUSIVE}it needs an isolated copy, and --running tests what is up")
    environments = verify_session.kube_environments()
    overlay = environments.source.settings.rolling
    if not overlay:
        pytest.skip(f"{INCONCLUSIVE}devenv.toml names no overlay that rolls: [verify.kubernetes] rolling")
    made = environments.isolated(overlay)
    missing = [note for note in made.driver.plan.image_notes if "stands in" not in note]
    try:
        if missing:
            pytest.skip(f"{INCONCLUSIVE}{'; '.join(missing)}: load it into the node, or name one with --image")
        try:
            made.up()
        except VerificationFailed as error:
            if not _is_missing_image(error):
                raise
            pytest.skip(f"{INCONCLUSIVE}an image of the overlay {overlay} is not on the node: {error}")
        yield made
    except (DevenvError, AssertionError) as error:
        verify_session.explain_start(error, f"the overlay {overlay}")
        raise
    finally:
        environments.remove(made)


@pytest.fixture
def rolling_stack(rolling_copy: KubeStack) -> KubeStack:
    """A copy of the overlay in which every service rolls without a gap, up and healthy, which all tests share.

    `rolling_stack.replace_pods("web", 60)` restarts a service and waits until its old pods are gone.
    devenv.toml names the overlay: [verify.kubernetes] rolling. Where it cannot be run, tests are inconclusive with the
    reason.
    """
    rolling_copy.wait_healthy()
    return rolling_copy


@pytest.fixture
def caller() -> Callable[[KubeStack], str]:
    """Return the name of a pod from which a namespace's services are called: `pod = caller(stack)`.

    `cluster.exec_in(pod, "python3", "-c", ...)` calls from there. Its image is the one of [verify.kubernetes] client.
    """
    return client_pod


def _is_missing_image(error: VerificationFailed) -> bool:
    return any(word in str(error) for word in ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull"))
