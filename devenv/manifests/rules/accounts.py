"""Service accounts, and what roles let them do."""

from __future__ import annotations

from collections.abc import Iterator

from devenv.manifests import access
from devenv.manifests.model import Manifest, Problem
from devenv.manifests.registry import ERROR, rule
from devenv.manifests.rendering import Rendering, Workload

_RBAC = "rbac.authorization.k8s.io"


def _account(rendering: Rendering, workload: Workload) -> Manifest | None:
    name = access.text(workload.pod, "serviceAccountName")
    return rendering.find("", "ServiceAccount", workload.manifest.namespace, name) if name else None


@rule(
    "account-own",
    source="issue: service accounts",
    fix="Add a ServiceAccount for the workload and name it in serviceAccountName.",
)
def account_own(rendering: Rendering) -> Iterator[Problem]:
    """On the namespace's default account, whatever one workload is once allowed to do, all are."""
    for workload in rendering.workloads:
        if access.text(workload.pod, "serviceAccountName") in ("", "default"):
            yield Problem(workload.manifest, (*workload.pod_path, "serviceAccountName"), "runs as the default account")


@rule(
    "account-exists",
    source="kube-linter non-existent-service-account",
    fix="Add the ServiceAccount, or correct serviceAccountName.",
    severity=ERROR,
)
def account_exists(rendering: Rendering) -> Iterator[Problem]:
    """A pod whose service account does not exist is not created, and only an event of its owner says so."""
    for workload in rendering.workloads:
        name = access.text(workload.pod, "serviceAccountName")
        if name not in ("", "default") and _account(rendering, workload) is None:
            path = (*workload.pod_path, "serviceAccountName")
            message = f"the service account {name} is not in this rendering"
            yield Problem(workload.manifest, path, message, doubt=rendering.absence("ServiceAccount", name))


@rule(
    "account-token",
    source="issue: no token mounts; Polaris automountServiceAccountToken",
    fix="automountServiceAccountToken: false, on the pod or on its ServiceAccount.",
)
def account_token(rendering: Rendering) -> Iterator[Problem]:
    """A mounted token is a key to the API server for whoever gets into the container."""
    for workload in rendering.workloads:
        mounted = access.get(workload.pod, "automountServiceAccountToken")
        account = _account(rendering, workload)
        if mounted is None and account is not None:
            mounted = access.get(account.data, "automountServiceAccountToken")
        if mounted is not False:
            path = (*workload.pod_path, "automountServiceAccountToken")
            yield Problem(workload.manifest, path, "its pods get a token for the API server")


@rule(
    "account-field",
    source="kube-linter deprecated-service-account-field",
    fix="Use serviceAccountName alone.",
)
def account_field(rendering: Rendering) -> Iterator[Problem]:
    """serviceAccount is the deprecated name of serviceAccountName, and the one that is left is not always read."""
    for workload in rendering.workloads:
        if "serviceAccount" in workload.pod:
            yield Problem(workload.manifest, (*workload.pod_path, "serviceAccount"), "uses the field serviceAccount")


@rule(
    "rbac-wildcard",
    source="issue: the least verbs; kube-linter wildcard-in-rules",
    fix="Name the verbs, resources and groups that are used.",
    severity=ERROR,
)
def rbac_wildcard(rendering: Rendering) -> Iterator[Problem]:
    """A wildcard allows today's and every future resource and verb."""
    for role in rendering.of(_RBAC, "Role", "ClusterRole"):
        for index, item in access.mappings(role.data, "rules"):
            for key in ("verbs", "resources", "apiGroups"):
                if "*" in access.sequence(item, key):
                    yield Problem(role, ("rules", index, key), f"allows every one of {key}")


@rule(
    "rbac-admin",
    source="Polaris clusterrolebindingClusterAdmin, rolebindingClusterAdminClusterRole, rolebindingClusterAdminRole",
    fix="Bind a role with the verbs that are used.",
    severity=ERROR,
)
def rbac_admin(rendering: Rendering) -> Iterator[Problem]:
    """Whoever gets hold of an account that is bound to cluster-admin owns the cluster, or the namespace."""
    for binding in rendering.of(_RBAC, "RoleBinding", "ClusterRoleBinding"):
        if access.text(binding.data, "roleRef", "name") == "cluster-admin":
            yield Problem(binding, ("roleRef", "name"), "binds cluster-admin")


@rule(
    "rbac-exec",
    source="Polaris clusterrolePodExecAttach, rolePodExecAttach, clusterrolebindingPodExecAttach, "
    "rolebindingClusterRolePodExecAttach, rolebindingRolePodExecAttach",
    fix="Remove pods/exec and pods/attach from the role.",
    severity=ERROR,
)
def rbac_exec(rendering: Rendering) -> Iterator[Problem]:
    """Exec into a pod is everything that pod may do and every secret it holds."""
    for role in rendering.of(_RBAC, "Role", "ClusterRole"):
        for index, item in access.mappings(role.data, "rules"):
            resources = set(map(str, access.sequence(item, "resources"))) & {"pods/exec", "pods/attach"}
            if resources and {"create", "get", "*"} & set(map(str, access.sequence(item, "verbs"))):
                yield Problem(role, ("rules", index), f"allows {', '.join(sorted(resources))}")


@rule(
    "rbac-reference",
    source="Kubernetes: RBAC, roleRef and subjects",
    fix="Correct the name, or add the Role or ServiceAccount.",
    severity=ERROR,
)
def rbac_reference(rendering: Rendering) -> Iterator[Problem]:
    """A binding to a role or an account that is not there grants nothing, and no error says so."""
    builtin = ("cluster-admin", "admin", "edit", "view")
    for binding in rendering.of(_RBAC, "RoleBinding", "ClusterRoleBinding"):
        kind, name = access.text(binding.data, "roleRef", "kind"), access.text(binding.data, "roleRef", "name")
        namespace = binding.namespace if kind == "Role" else ""
        known = kind == "ClusterRole" and (name in builtin or name.startswith("system:"))
        known = known or namespace == "kube-system"  # its roles come with the cluster
        if not known and rendering.find(_RBAC, kind, namespace, name) is None:
            doubt = rendering.absence(kind, name)
            yield Problem(binding, ("roleRef", "name"), f"{kind}/{name} is not in this rendering", doubt=doubt)
        for index, subject in access.mappings(binding.data, "subjects"):
            account, where = access.text(subject, "name"), access.text(subject, "namespace")
            if subject.get("kind") != "ServiceAccount" or account == "default":
                continue
            ours = not where or where in {manifest.namespace for manifest in rendering.manifests}
            if ours and rendering.find("", "ServiceAccount", where, account) is None:
                message = f"ServiceAccount/{account} is not in this rendering"
                doubt = rendering.absence("ServiceAccount", account)
                yield Problem(binding, ("subjects", index, "name"), message, doubt=doubt)
