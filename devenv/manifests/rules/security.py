"""What pods may do: to their node (the Pod Security Standard `restricted`, and a little more) and to the API server.

https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from devenv.manifests.access import get, mappings, sequence, text
from devenv.manifests.model import Manifest, Problem
from devenv.manifests.registry import containers, error, warning, workloads
from devenv.manifests.rendering import Container, Rendering, Workload

_CONTEXT = "securityContext"
_RBAC = "rbac.authorization.k8s.io"
# kube-linter's list: settings that reach beyond the pod's own namespaces, or that the kubelet does not hold safe.
_UNSAFE_SYSCTLS = ("kernel.msg", "kernel.sem", "kernel.shm", "fs.mqueue.", "net.")
# https://kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster/#safe-and-unsafe-sysctls
_SAFE_SYSCTLS = frozenset(
    {"kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies"}
    | {"net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ip_local_reserved_ports"}
    | {"net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl"}
    | {"net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"}
)

error.each(
    "privileged",
    "A privileged container is root on its node.",
    containers,
    lambda container: container.security("privileged") is True and "is privileged",
    at=(_CONTEXT, "privileged"),
    source="kube-linter privileged-container; Polaris runAsPrivileged; Pod Security baseline",
    fix="Remove privileged; add the one capability that is needed, if any.",
)
error.each(
    "privilege-escalation",
    "Unless forbidden, a setuid program in the image gives a process more than it was started with.",
    containers,
    lambda container: container.security("allowPrivilegeEscalation") is not False and "may gain privileges",
    at=(_CONTEXT, "allowPrivilegeEscalation"),
    source="kube-linter privilege-escalation-container; Polaris privilegeEscalationAllowed; Pod Security restricted",
    fix="securityContext: allowPrivilegeEscalation: false.",
)
error.each(
    "capabilities-dropped",
    "The runtime's default set lets a process forge packets (NET_RAW) and change owners; a service needs none.",
    containers,
    lambda container: "ALL" not in _capabilities(container, "drop").values() and "keeps capabilities",
    at=(_CONTEXT, "capabilities"),
    source="issue: no capabilities; kube-linter drop-net-raw-capability; Polaris insecureCapabilities",
    fix="securityContext: capabilities: drop: [ALL].",
)
warning.each(
    "read-only-root",
    "A writable root file system lets an intruder leave programs behind, and hides state in a layer that is lost.",
    containers,
    lambda container: container.security("readOnlyRootFilesystem") is not True and "may write to its root file system",
    at=(_CONTEXT, "readOnlyRootFilesystem"),
    source="issue: read-only root; kube-linter no-read-only-root-fs; Polaris notReadOnlyRootFilesystem",
    fix="securityContext: readOnlyRootFilesystem: true, with an emptyDir where it has to write.",
)
error.each(
    "run-as-non-root",
    "Root in the container is root on the node, as soon as anything else gives way.",
    containers,
    lambda container: container.security("runAsNonRoot") is not True and "may run as root",
    at=(_CONTEXT, "runAsNonRoot"),
    source="issue: non-root; kube-linter run-as-non-root; Polaris runAsRootAllowed; Pod Security restricted",
    fix="securityContext: runAsNonRoot: true, on the pod or the container.",
)
error.each(
    "proc-mount",
    "An unmasked /proc shows and changes what belongs to the node.",
    containers,
    lambda container: container.security("procMount") not in (None, "Default") and "has an unmasked /proc",
    at=(_CONTEXT, "procMount"),
    source="Polaris procMount; kube-linter unsafe-proc-mount; Pod Security baseline",
    fix="Remove procMount.",
)
error.each(
    "host-process",
    "A Windows host-process container runs on the node itself.",
    containers,
    lambda container: get(container.security("windowsOptions"), "hostProcess") is True and "is a host process",
    at=(_CONTEXT,),
    source="Polaris hostProcess; Pod Security baseline",
    fix="Remove windowsOptions.hostProcess.",
)


def _capabilities(container: Container, what: str) -> dict[str, str]:
    """Return the capabilities that it adds or drops, as they are written and in capitals."""
    names = map(str, sequence(container.data, _CONTEXT, "capabilities", what))
    return {name: name.upper() for name in names}


@error(
    "capabilities-added",
    source="Polaris dangerousCapabilities; Pod Security restricted",
    fix="Remove capabilities.add; only NET_BIND_SERVICE is allowed, and a port above 1023 does not need it.",
)
def capabilities_added(rendering: Rendering) -> Iterator[Problem]:
    """Most capabilities, SYS_ADMIN and NET_ADMIN first, are ways out of the container."""
    for container in rendering.containers:
        added = [name for name, known in _capabilities(container, "add").items() if known != "NET_BIND_SERVICE"]
        if added:
            yield container.problem(f"adds {', '.join(added)}", _CONTEXT, "capabilities")


@warning(
    "fixed-user",
    source="issue: non-root with fixed uid",
    fix="securityContext: runAsUser with a number above 0 (better above 10000), and runAsGroup.",
)
def fixed_user(rendering: Rendering) -> Iterator[Problem]:
    """Without a number, the image decides whose files it writes on the volume, and a new image may decide otherwise."""
    for container in rendering.containers:
        user = container.security("runAsUser")
        if not isinstance(user, int) or user == 0:
            message = "runs as root" if user == 0 else "has no fixed uid"
            yield container.problem(message, _CONTEXT, "runAsUser")


@error(
    "seccomp",
    source="issue: seccomp RuntimeDefault; Polaris linuxHardening; Pod Security restricted",
    fix="securityContext: seccompProfile: type: RuntimeDefault, on the pod.",
)
def seccomp(rendering: Rendering) -> Iterator[Problem]:
    """Without a profile, a process may use every system call of the kernel, those with holes included."""
    for container in rendering.containers:
        kind = get(container.security("seccompProfile"), "type")
        if kind not in ("RuntimeDefault", "Localhost"):
            yield container.problem(f"has seccomp profile {kind or 'none'}", _CONTEXT, "seccompProfile")


@warning(
    "ssh-port",
    source="kube-linter ssh-port",
    fix="Remove port 22; kubectl exec and debug are audited and need no server.",
)
def ssh_port(rendering: Rendering) -> Iterator[Problem]:
    """A container with an SSH server is a way in that no audit of the cluster sees."""
    for container in rendering.containers:
        for index, port in mappings(container.data, "ports"):
            if port.get("containerPort") == 22:
                yield container.problem("opens port 22", "ports", index, "containerPort")


# The node: its namespaces, ports, files and kernel settings.


def _has(field: str) -> Callable[[Workload], str | bool]:
    return lambda workload: workload.pod.get(field) is True and f"has {field}"


for _kind, _field, _why in (
    ("network", "hostNetwork", "In the node's network a pod sees all traffic, and no NetworkPolicy holds for it."),
    ("pid", "hostPID", "A pod that sees the node's processes reads their environment and can end them."),
    ("ipc", "hostIPC", "A pod in the node's IPC namespace reads the shared memory of others."),
):
    error.each(
        f"host-{_kind}",
        _why,
        workloads,
        _has(_field),
        at=(_field,),
        source=f"kube-linter host-{_kind}; Polaris {_field}Set",
        fix=f"Remove {_field}.",
    )


@warning(
    "host-port",
    source="Polaris hostPortSet; Pod Security baseline",
    fix="Remove hostPort and reach the pods through a Service.",
)
def host_port(rendering: Rendering) -> Iterator[Problem]:
    """A port of the node is open past every policy, and only one such pod fits on a node."""
    for container in rendering.containers:
        for index, port in mappings(container.data, "ports"):
            if port.get("hostPort"):
                yield container.problem("takes a port of the node", "ports", index, "hostPort")


@error(
    "host-path",
    source="kube-linter docker-sock, sensitive-host-mounts; Polaris hostPathSet; Pod Security baseline",
    fix="Use a PersistentVolumeClaim, an emptyDir or a ConfigMap.",
)
def host_path(rendering: Rendering) -> Iterator[Problem]:
    """A folder of the node is a way out of the container; the engine's socket among them is root on the node."""
    for workload in rendering.workloads:
        for index, volume in mappings(workload.pod, "volumes"):
            if "hostPath" in volume:
                yield workload.problem(f"mounts the node's {text(volume, 'hostPath', 'path')}", "volumes", index)


@error(
    "unsafe-sysctls",
    source="kube-linter unsafe-sysctls; Pod Security baseline",
    fix="Remove the setting, or use one that Kubernetes lists as safe.",
)
def unsafe_sysctls(rendering: Rendering) -> Iterator[Problem]:
    """An unsafe kernel setting changes the node for every pod on it, and the kubelet refuses the pod by default."""
    for workload in rendering.workloads:
        for index, setting in mappings(workload.pod, _CONTEXT, "sysctls"):
            name = text(setting, "name")
            if name.startswith(_UNSAFE_SYSCTLS) and name not in _SAFE_SYSCTLS:
                yield workload.problem(f"sets {name}", _CONTEXT, "sysctls", index)


# The API server: service accounts, and what roles let them do.


def _account_name(workload: Workload) -> str:
    return text(workload.pod, "serviceAccountName")


warning.each(
    "account-own",
    "On the namespace's default account, whatever one workload is once allowed to do, all are.",
    workloads,
    lambda workload: _account_name(workload) in ("", "default") and "runs as the default account",
    at=("serviceAccountName",),
    source="issue: service accounts",
    fix="Add a ServiceAccount for the workload and name it in serviceAccountName.",
)
warning.each(
    "account-field",
    "serviceAccount is the deprecated name of serviceAccountName, and the one that is left is not always read.",
    workloads,
    lambda workload: "serviceAccount" in workload.pod and "uses the field serviceAccount",
    at=("serviceAccount",),
    source="kube-linter deprecated-service-account-field",
    fix="Use serviceAccountName alone.",
)


@error(
    "account-exists",
    source="kube-linter non-existent-service-account",
    fix="Add the ServiceAccount, or correct serviceAccountName.",
)
def account_exists(rendering: Rendering) -> Iterator[Problem]:
    """A pod whose service account does not exist is not created, and only an event of its owner says so."""
    for workload in rendering.workloads:
        name = _account_name(workload)
        if name not in ("", "default"):
            path, target = (*workload.pod_path, "serviceAccountName"), ("", "ServiceAccount", name)
            yield from rendering.dangling(workload.manifest, path, target, f"the service account {name}")


@warning(
    "account-token",
    source="issue: no token mounts; Polaris automountServiceAccountToken",
    fix="automountServiceAccountToken: false, on the pod or on its ServiceAccount.",
)
def account_token(rendering: Rendering) -> Iterator[Problem]:
    """A mounted token is a key to the API server for whoever gets into the container."""
    field = "automountServiceAccountToken"
    for workload in rendering.workloads:
        name = _account_name(workload)
        account = rendering.find("", "ServiceAccount", workload.manifest.namespace, name) if name else None
        mounted = get(workload.pod, field)
        if mounted is None and account is not None:
            mounted = get(account.data, field)
        if mounted is not False:
            yield workload.problem("its pods get a token for the API server", field)


@error(
    "rbac-wildcard",
    source="issue: the least verbs; kube-linter wildcard-in-rules",
    fix="Name the verbs, resources and groups that are used.",
)
def rbac_wildcard(rendering: Rendering) -> Iterator[Problem]:
    """A wildcard allows today's and every future resource and verb."""
    for role in rendering.of(_RBAC, "Role", "ClusterRole"):
        for index, item in mappings(role.data, "rules"):
            for key in ("verbs", "resources", "apiGroups"):
                if "*" in sequence(item, key):
                    yield role.problem(f"allows every one of {key}", "rules", index, key)


@error(
    "rbac-exec",
    source="Polaris clusterrolePodExecAttach, rolePodExecAttach, clusterrolebindingPodExecAttach, "
    "rolebindingClusterRolePodExecAttach, rolebindingRolePodExecAttach",
    fix="Remove pods/exec and pods/attach from the role.",
)
def rbac_exec(rendering: Rendering) -> Iterator[Problem]:
    """Exec into a pod is everything that pod may do and every secret it holds."""
    for role in rendering.of(_RBAC, "Role", "ClusterRole"):
        for index, item in mappings(role.data, "rules"):
            resources = set(map(str, sequence(item, "resources"))) & {"pods/exec", "pods/attach"}
            if resources and {"create", "get", "*"} & set(map(str, sequence(item, "verbs"))):
                yield role.problem(f"allows {', '.join(sorted(resources))}", "rules", index)


def _bindings(rendering: Rendering) -> list[Manifest]:
    return rendering.of(_RBAC, "RoleBinding", "ClusterRoleBinding")


error.each(
    "rbac-admin",
    "Whoever gets hold of an account that is bound to cluster-admin owns the cluster, or the namespace.",
    _bindings,
    lambda binding: text(binding.data, "roleRef", "name") == "cluster-admin" and "binds cluster-admin",
    at=("roleRef", "name"),
    source="Polaris clusterrolebindingClusterAdmin, rolebindingClusterAdminClusterRole, rolebindingClusterAdminRole",
    fix="Bind a role with the verbs that are used.",
)


@error(
    "rbac-reference",
    source="Kubernetes: RBAC, roleRef and subjects",
    fix="Correct the name, or add the Role or ServiceAccount.",
)
def rbac_reference(rendering: Rendering) -> Iterator[Problem]:
    """A binding to a role or an account that is not there grants nothing, and no error says so."""
    builtin = ("cluster-admin", "admin", "edit", "view")
    for binding in _bindings(rendering):
        kind, name = text(binding.data, "roleRef", "kind"), text(binding.data, "roleRef", "name")
        namespace = binding.namespace if kind == "Role" else ""
        known = kind == "ClusterRole" and (name in builtin or name.startswith("system:"))
        if not known and namespace != "kube-system":  # its roles come with the cluster
            target = (_RBAC, kind, name)
            yield from rendering.dangling(binding, ("roleRef", "name"), target, f"{kind}/{name}", namespace)
        for index, subject in mappings(binding.data, "subjects"):
            account, where = text(subject, "name"), text(subject, "namespace")
            ours = not where or where in {manifest.namespace for manifest in rendering.manifests}
            if subject.get("kind") == "ServiceAccount" and account != "default" and ours:
                path, target = ("subjects", index, "name"), ("", "ServiceAccount", account)
                yield from rendering.dangling(binding, path, target, f"ServiceAccount/{account}", where)
