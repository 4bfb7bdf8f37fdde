"""What a container may do: the Pod Security Standard `restricted`, and a little more.

https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from __future__ import annotations

from collections.abc import Iterator

from devenv.manifests import access
from devenv.manifests.model import Problem
from devenv.manifests.registry import ERROR, rule
from devenv.manifests.rendering import Container, Rendering

_CONTEXT = "securityContext"


def _problem(container: Container, key: str, message: str) -> Problem:
    return Problem(container.manifest, (*container.path, _CONTEXT, key), f"container {container.name} {message}")


@rule(
    "privileged",
    source="kube-linter privileged-container; Polaris runAsPrivileged; Pod Security baseline",
    fix="Remove privileged; add the one capability that is needed, if any.",
    severity=ERROR,
)
def privileged(rendering: Rendering) -> Iterator[Problem]:
    """A privileged container is root on its node."""
    for container in rendering.containers:
        if access.get(container.data, _CONTEXT, "privileged") is True:
            yield _problem(container, "privileged", "is privileged")


@rule(
    "privilege-escalation",
    source="kube-linter privilege-escalation-container; Polaris privilegeEscalationAllowed; Pod Security restricted",
    fix="securityContext: allowPrivilegeEscalation: false.",
    severity=ERROR,
)
def privilege_escalation(rendering: Rendering) -> Iterator[Problem]:
    """Unless forbidden, a setuid program in the image gives a process more than it was started with."""
    for container in rendering.containers:
        if access.get(container.data, _CONTEXT, "allowPrivilegeEscalation") is not False:
            yield _problem(container, "allowPrivilegeEscalation", "may gain privileges")


@rule(
    "capabilities-added",
    source="Polaris dangerousCapabilities; Pod Security restricted",
    fix="Remove capabilities.add; only NET_BIND_SERVICE is allowed, and a port above 1023 does not need it.",
    severity=ERROR,
)
def capabilities_added(rendering: Rendering) -> Iterator[Problem]:
    """Most capabilities, SYS_ADMIN and NET_ADMIN first, are ways out of the container."""
    for container in rendering.containers:
        added = access.sequence(container.data, _CONTEXT, "capabilities", "add")
        bad = [str(name) for name in added if str(name).upper() != "NET_BIND_SERVICE"]
        if bad:
            yield _problem(container, "capabilities", f"adds {', '.join(bad)}")


@rule(
    "capabilities-dropped",
    source="issue: no capabilities; kube-linter drop-net-raw-capability; Polaris insecureCapabilities",
    fix="securityContext: capabilities: drop: [ALL].",
    severity=ERROR,
)
def capabilities_dropped(rendering: Rendering) -> Iterator[Problem]:
    """The runtime's default set lets a process forge packets (NET_RAW) and change owners; a service needs none."""
    for container in rendering.containers:
        dropped = access.sequence(container.data, _CONTEXT, "capabilities", "drop")
        if "ALL" not in [str(name).upper() for name in dropped]:
            yield _problem(container, "capabilities", "keeps capabilities")


@rule(
    "read-only-root",
    source="issue: read-only root; kube-linter no-read-only-root-fs; Polaris notReadOnlyRootFilesystem",
    fix="securityContext: readOnlyRootFilesystem: true, with an emptyDir where it has to write.",
)
def read_only_root(rendering: Rendering) -> Iterator[Problem]:
    """A writable root file system lets an intruder leave programs behind, and hides state in a layer that is lost."""
    for container in rendering.containers:
        if access.get(container.data, _CONTEXT, "readOnlyRootFilesystem") is not True:
            yield _problem(container, "readOnlyRootFilesystem", "may write to its root file system")


@rule(
    "run-as-non-root",
    source="issue: non-root; kube-linter run-as-non-root; Polaris runAsRootAllowed; Pod Security restricted",
    fix="securityContext: runAsNonRoot: true, on the pod or the container.",
    severity=ERROR,
)
def run_as_non_root(rendering: Rendering) -> Iterator[Problem]:
    """Root in the container is root on the node, as soon as anything else gives way."""
    for container in rendering.containers:
        if container.security("runAsNonRoot") is not True:
            yield _problem(container, "runAsNonRoot", "may run as root")


@rule(
    "fixed-user",
    source="issue: non-root with fixed uid",
    fix="securityContext: runAsUser with a number above 0 (better above 10000), and runAsGroup.",
)
def fixed_user(rendering: Rendering) -> Iterator[Problem]:
    """Without a number, the image decides whose files it writes on the volume, and a new image may decide otherwise."""
    for container in rendering.containers:
        user = container.security("runAsUser")
        if not isinstance(user, int) or user == 0:
            yield _problem(container, "runAsUser", "runs as root" if user == 0 else "has no fixed uid")


@rule(
    "seccomp",
    source="issue: seccomp RuntimeDefault; Polaris linuxHardening; Pod Security restricted",
    fix="securityContext: seccompProfile: type: RuntimeDefault, on the pod.",
    severity=ERROR,
)
def seccomp(rendering: Rendering) -> Iterator[Problem]:
    """Without a profile, a process may use every system call of the kernel, those with holes included."""
    for container in rendering.containers:
        kind = access.get(container.security("seccompProfile"), "type")
        if kind not in ("RuntimeDefault", "Localhost"):
            yield _problem(container, "seccompProfile", f"has seccomp profile {kind or 'none'}")


@rule(
    "proc-mount",
    source="Polaris procMount; kube-linter unsafe-proc-mount; Pod Security baseline",
    fix="Remove procMount.",
    severity=ERROR,
)
def proc_mount(rendering: Rendering) -> Iterator[Problem]:
    """An unmasked /proc shows and changes what belongs to the node."""
    for container in rendering.containers:
        if access.get(container.data, _CONTEXT, "procMount") not in (None, "Default"):
            yield _problem(container, "procMount", "has an unmasked /proc")


@rule(
    "ssh-port",
    source="kube-linter ssh-port",
    fix="Remove port 22; kubectl exec and debug are audited and need no server.",
)
def ssh_port(rendering: Rendering) -> Iterator[Problem]:
    """A container with an SSH server is a way in that no audit of the cluster sees."""
    for container in rendering.containers:
        for index, port in access.mappings(container.data, "ports"):
            if port.get("containerPort") == 22:
                path = (*container.path, "ports", index, "containerPort")
                yield Problem(container.manifest, path, f"container {container.name} opens port 22")
