"""What a pod may take from its node: namespaces, ports, files, kernel settings."""

from __future__ import annotations

from collections.abc import Iterator

from devenv.manifests import access
from devenv.manifests.model import Problem
from devenv.manifests.registry import ERROR, Check, rule
from devenv.manifests.rendering import Rendering

# kube-linter's list: settings that reach beyond the pod's own namespaces, or that the kubelet does not hold safe.
_UNSAFE_SYSCTLS = ("kernel.msg", "kernel.sem", "kernel.shm", "fs.mqueue.", "net.")
# https://kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster/#safe-and-unsafe-sysctls
_SAFE_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_wmem",
    }
)


def _host_namespace(field: str, why: str) -> Check:
    def check(rendering: Rendering) -> Iterator[Problem]:
        for workload in rendering.workloads:
            if workload.pod.get(field) is True:
                yield Problem(workload.manifest, (*workload.pod_path, field), f"has {field}")

    check.__doc__ = why
    return check


rule(
    "host-network", source="kube-linter host-network; Polaris hostNetworkSet", fix="Remove hostNetwork.", severity=ERROR
)(_host_namespace("hostNetwork", "In the node's network a pod sees all traffic, and no NetworkPolicy holds for it."))
rule("host-pid", source="kube-linter host-pid; Polaris hostPIDSet", fix="Remove hostPID.", severity=ERROR)(
    _host_namespace("hostPID", "A pod that sees the node's processes reads their environment and can end them.")
)
rule("host-ipc", source="kube-linter host-ipc; Polaris hostIPCSet", fix="Remove hostIPC.", severity=ERROR)(
    _host_namespace("hostIPC", "A pod in the node's IPC namespace reads the shared memory of others.")
)


@rule(
    "host-port",
    source="Polaris hostPortSet; Pod Security baseline",
    fix="Remove hostPort and reach the pods through a Service.",
)
def host_port(rendering: Rendering) -> Iterator[Problem]:
    """A port of the node is open past every policy, and only one such pod fits on a node."""
    for container in rendering.containers:
        for index, port in access.mappings(container.data, "ports"):
            if port.get("hostPort"):
                path = (*container.path, "ports", index, "hostPort")
                yield Problem(container.manifest, path, f"container {container.name} takes a port of the node")


@rule(
    "host-path",
    source="kube-linter docker-sock, sensitive-host-mounts; Polaris hostPathSet; Pod Security baseline",
    fix="Use a PersistentVolumeClaim, an emptyDir or a ConfigMap.",
    severity=ERROR,
)
def host_path(rendering: Rendering) -> Iterator[Problem]:
    """A folder of the node is a way out of the container; the engine's socket among them is root on the node."""
    for workload in rendering.workloads:
        for index, volume in access.mappings(workload.pod, "volumes"):
            if "hostPath" in volume:
                shown = access.text(volume, "hostPath", "path")
                yield Problem(workload.manifest, (*workload.pod_path, "volumes", index), f"mounts the node's {shown}")


@rule(
    "host-process",
    source="Polaris hostProcess; Pod Security baseline",
    fix="Remove windowsOptions.hostProcess.",
    severity=ERROR,
)
def host_process(rendering: Rendering) -> Iterator[Problem]:
    """A Windows host-process container runs on the node itself."""
    for container in rendering.containers:
        if access.get(container.security("windowsOptions"), "hostProcess") is True:
            path = (*container.path, "securityContext")
            yield Problem(container.manifest, path, f"container {container.name} is a host process")


@rule(
    "unsafe-sysctls",
    source="kube-linter unsafe-sysctls; Pod Security baseline",
    fix="Remove the setting, or use one that Kubernetes lists as safe.",
    severity=ERROR,
)
def unsafe_sysctls(rendering: Rendering) -> Iterator[Problem]:
    """An unsafe kernel setting changes the node for every pod on it, and the kubelet refuses the pod by default."""
    for workload in rendering.workloads:
        for index, setting in access.mappings(workload.pod, "securityContext", "sysctls"):
            name = access.text(setting, "name")
            if name.startswith(_UNSAFE_SYSCTLS) and name not in _SAFE_SYSCTLS:
                path = (*workload.pod_path, "securityContext", "sysctls", index)
                yield Problem(workload.manifest, path, f"sets {name}")
