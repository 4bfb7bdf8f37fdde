"""For every rule, the smallest change of the clean folder that breaks that rule and no other."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

from mutation_tools import Mutation, Objects, both, container, drop, ignore, named, object_, pod


def _single(objects: Objects) -> None:
    objects["StatefulSet/queue"]["spec"]["replicas"] = 1


def _overlap(objects: Objects) -> None:
    labels = objects["Deployment/api"]["spec"]["template"]["metadata"]["labels"]
    labels["tier"] = "back"
    queue = objects["StatefulSet/queue"]["spec"]
    queue["template"]["metadata"]["labels"]["tier"] = "back"
    queue["selector"] = {"matchLabels": {"tier": "back"}}


def _second_budget(objects: Objects) -> None:
    objects.items.append(named(objects["PodDisruptionBudget/api"], metadata={"name": "api-2", "namespace": "shop"}))


def _dns(objects: Objects) -> None:
    objects["NetworkPolicy/allow-dns"]["spec"]["egress"][0]["ports"] = [{"protocol": "UDP", "port": 53}]


def _own_namespace(objects: Objects) -> None:
    objects["Namespace/shop"]["metadata"]["name"] = "store"


def _lost_namespace(objects: Objects) -> None:
    for title in ("CronJob/cleanup", "ServiceAccount/cleanup"):
        objects[title]["metadata"].pop("namespace")


def _one_sided(objects: Objects) -> None:
    objects["NetworkPolicy/queue"]["spec"]["ingress"][0]["from"] = [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "elsewhere"}}}
    ]


def _unnamed_pods(objects: Objects) -> None:
    objects.remove("NetworkPolicy/migrate")


def _unreachable(objects: Objects) -> None:
    web = objects["NetworkPolicy/web"]["spec"]
    web["policyTypes"], web["ingress"] = ["Ingress", "Egress"], []


def _without_budget(objects: Objects) -> None:
    objects.remove("PodDisruptionBudget/web")


def _first_version(objects: Objects) -> None:
    scaler = objects["HorizontalPodAutoscaler/web"]
    scaler["apiVersion"] = "autoscaling/v1"
    for field in ("metrics", "behavior"):
        del scaler["spec"][field]
    scaler["spec"]["targetCPUUtilizationPercentage"] = 70


def _exclusive(objects: Objects) -> None:
    objects.pod()["volumes"].append({"name": "reports", "persistentVolumeClaim": {"claimName": "reports"}})


def _plain_config(objects: Objects) -> None:
    objects.add(apiVersion="v1", kind="ConfigMap", metadata={"name": "notes"}, data={"A": "b"})
    objects.pod("Job/migrate")["volumes"].append({"name": "notes", "configMap": {"name": "notes"}})


MUTATIONS: dict[str, Mutation] = {
    # accounts
    "account-exists": Mutation(
        both(pod("serviceAccountName", to="nobody"), pod("automountServiceAccountToken", to=False))
    ),
    "account-field": Mutation(pod("serviceAccount", to="api")),
    "account-own": Mutation(
        both(pod("serviceAccountName", to="default"), pod("automountServiceAccountToken", to=False))
    ),
    "account-token": Mutation(object_("ServiceAccount/api", "automountServiceAccountToken", to=True)),
    "rbac-admin": Mutation(
        object_(
            "RoleBinding/viewer",
            "roleRef",
            to={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        )
    ),
    "rbac-exec": Mutation(object_("Role/viewer", "rules", 0, "resources", to=["pods", "pods/exec"])),
    "rbac-reference": Mutation(object_("RoleBinding/viewer", "roleRef", "name", to="view")),
    "rbac-wildcard": Mutation(object_("Role/viewer", "rules", 0, "verbs", to=["*"])),
    # compose
    "compose-environment": Mutation(container("env", 0, "name", to="AREA")),
    "compose-health-path": Mutation(
        both(
            container("startupProbe", to={"tcpSocket": {"port": "http"}}),
            container("livenessProbe", to={"tcpSocket": {"port": "http"}, "initialDelaySeconds": 30}),
        )
    ),
    "compose-limits": Mutation(container("resources", "limits", "memory", to="300Mi")),
    "compose-ports": Mutation(lambda objects: objects.container()["ports"].append({"containerPort": 9000})),
    "compose-service": Mutation(lambda objects: objects["StatefulSet/queue"]["metadata"].update(name="mq")),
    "compose-user": Mutation(pod("securityContext", "runAsUser", to=10002)),
    # disruption
    "pdb-drain": Mutation(object_("PodDisruptionBudget/api", "spec", "maxUnavailable", to=0)),
    "pdb-missing": Mutation(_without_budget),
    "pdb-selector": Mutation(_second_budget),
    "pdb-unhealthy": Mutation(
        object_("PodDisruptionBudget/api", "spec", "unhealthyPodEvictionPolicy", to="IfHealthyBudget")
    ),
    "priority-class": Mutation(pod("priorityClassName", to="urgent")),
    "priority-missing": Mutation(pod("priorityClassName", to="")),
    "spread-missing": Mutation(pod("topologySpreadConstraints", to=[])),
    "spread-selector": Mutation(
        pod("topologySpreadConstraints", 0, "labelSelector", to={"matchLabels": {"app.kubernetes.io/name": "web"}})
    ),
    # exceptions
    "exception-reason": Mutation(ignore("  ")),
    "exception-unknown": Mutation(ignore("it is meant", "no-such-rule")),
    "exception-unused": Mutation(ignore("it starts at once")),
    # ingress
    "ingress-annotation": Mutation(
        object_("Ingress/shop", "metadata", "annotations", to={"nginx.ingress.kubernetes.io/rewrite-target": "/"})
    ),
    "ingress-class": Mutation(object_("Ingress/shop", "spec", "ingressClassName", to="")),
    "ingress-port": Mutation(
        object_("Ingress/shop", "spec", "rules", 0, "http", "paths", 0, "backend", "service", "port", to={"number": 1})
    ),
    "ingress-service": Mutation(
        object_("Ingress/shop", "spec", "rules", 0, "http", "paths", 0, "backend", "service", "name", to="old")
    ),
    "ingress-tls": Mutation(object_("Ingress/shop", "spec", "tls", 0, "hosts", to=["other.example.com"])),
    # labels
    "label-instance": Mutation(
        lambda objects: objects["Deployment/api"]["metadata"]["labels"].pop("app.kubernetes.io/instance")
    ),
    "label-name": Mutation(
        lambda objects: objects["Deployment/api"]["metadata"]["labels"].pop("app.kubernetes.io/name")
    ),
    "namespace-missing": Mutation(_own_namespace),
    "namespace-mixed": Mutation(_lost_namespace),
    "namespace-pod-security": Mutation(
        object_("Namespace/shop", "metadata", "labels", "pod-security.kubernetes.io/enforce", to="baseline")
    ),
    "selector-mismatch": Mutation(
        object_("Deployment/api", "spec", "selector", "matchLabels", "app.kubernetes.io/name", to="apis")
    ),
    "selector-overlap": Mutation(_overlap),
    # network
    "network-default-deny": Mutation(object_("NetworkPolicy/default-deny", "spec", "policyTypes", to=["Ingress"])),
    "network-dns": Mutation(_dns),
    "network-one-sided": Mutation(_one_sided),
    "network-policy-missing": Mutation(_unnamed_pods),
    "network-policy-peer": Mutation(
        object_("NetworkPolicy/api", "spec", "ingress", 0, "from", 0, "podSelector", to={"matchLabels": {"a": "b"}})
    ),
    "network-policy-port": Mutation(
        object_("NetworkPolicy/api", "spec", "ingress", 1, "ports", to=[{"port": 8000}, {"port": "htpp"}])
    ),
    "network-policy-selector": Mutation(
        lambda objects: objects.add(
            apiVersion="networking.k8s.io/v1",
            kind="NetworkPolicy",
            metadata={"name": "old"},
            spec={"podSelector": {"matchLabels": {"app.kubernetes.io/name": "old"}}, "policyTypes": ["Ingress"]},
        )
    ),
    "network-unreachable": Mutation(_unreachable),
    # scaling
    "hpa-behavior": Mutation(lambda objects: objects["HorizontalPodAutoscaler/web"]["spec"]["behavior"].pop("scaleUp")),
    "hpa-minimum": Mutation(object_("HorizontalPodAutoscaler/web", "spec", "minReplicas", to=1)),
    "hpa-owns-replicas": Mutation(object_("Deployment/web", "spec", "replicas", to=3)),
    "hpa-range": Mutation(object_("HorizontalPodAutoscaler/web", "spec", "maxReplicas", to=2)),
    "hpa-requests": Mutation(
        object_(
            "HorizontalPodAutoscaler/web",
            "spec",
            "metrics",
            to=[
                {
                    "type": "Resource",
                    "resource": {"name": name, "target": {"type": "Utilization", "averageUtilization": 70}},
                }
                for name in ("cpu", "ephemeral-storage")
            ],
        )
    ),
    "hpa-settings": Mutation(
        object_("HorizontalPodAutoscaler/web", "spec", "metrics", 0, "resource", "target", "averageUtilization", to=80)
    ),
    "hpa-target": Mutation(
        lambda objects: objects.add(
            apiVersion="autoscaling/v2",
            kind="HorizontalPodAutoscaler",
            metadata={"name": "old"},
            spec={
                **copy.deepcopy(objects["HorizontalPodAutoscaler/web"]["spec"]),
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "old"},
            },
        )
    ),
    "hpa-version": Mutation(_first_version),
    "hpa-window": Mutation(
        object_("HorizontalPodAutoscaler/web", "spec", "behavior", "scaleDown", "stabilizationWindowSeconds", to=60)
    ),
    "hpa-window-test": Mutation(
        object_("HorizontalPodAutoscaler/web", "spec", "behavior", "scaleDown", "stabilizationWindowSeconds", to=300),
        "dev",
    ),
    "replicas": Mutation(object_("Deployment/api", "spec", "replicas", to=1)),
    "single-instance": Mutation(_single),
    # schema
    "api-version": Mutation(
        lambda objects: objects.add(
            apiVersion="policy/v1beta1", kind="PodSecurityPolicy", metadata={"name": "old"}, spec={}
        )
    ),
    "object-name": Mutation(
        lambda objects: objects.add(
            apiVersion="v1", kind="LimitRange", metadata={"name": "Not_A_Name"}, spec={"limits": []}
        )
    ),
    "schema": Mutation(object_("Deployment/api", "spec", "revisionHistoryLimit", to="five")),
    "unknown-field": Mutation(container("livenesProbe", to={})),
    # services
    "port-name": Mutation(
        lambda objects: objects.container("Deployment/web")["ports"].append(
            {"containerPort": 9090, "name": "Metrics_Port"}
        )
    ),
    "service-dangling": Mutation(
        lambda objects: objects.add(
            apiVersion="v1",
            kind="Service",
            metadata={"name": "old"},
            spec={"selector": {"app.kubernetes.io/name": "old"}, "ports": [{"port": 80}]},
        )
    ),
    "service-port": Mutation(object_("Service/web", "spec", "ports", 0, "targetPort", to=3001)),
    "service-type": Mutation(object_("Service/web", "spec", "type", to="NodePort")),
    # config
    "config-exists": Mutation(container("env", 1, "valueFrom", "configMapKeyRef", "key", to="NOT_THERE")),
    "config-generated": Mutation(_plain_config),
    "env-duplicate": Mutation(lambda objects: objects.container()["env"].append({"name": "REGION", "value": "x"})),
    # hosts
    "host-ipc": Mutation(pod("hostIPC", to=True)),
    "host-network": Mutation(pod("hostNetwork", to=True)),
    "host-path": Mutation(
        lambda objects: objects.pod()["volumes"].append(
            {"name": "engine", "hostPath": {"path": "/var/run/docker.sock"}}
        )
    ),
    "host-pid": Mutation(pod("hostPID", to=True)),
    "host-port": Mutation(container("ports", 0, "hostPort", to=8000)),
    "host-process": Mutation(container("securityContext", "windowsOptions", to={"hostProcess": True})),
    "unsafe-sysctls": Mutation(pod("securityContext", "sysctls", to=[{"name": "net.core.somaxconn", "value": "1024"}])),
    # images
    "image-digest": Mutation(
        both(container("image", to="registry.example/shop/api:1.0"), container("imagePullPolicy", to="Always"))
    ),
    "image-pull-policy": Mutation(container("imagePullPolicy", to="Always"), "dev"),
    "image-tag": Mutation(container("image", to="registry.example/shop/api:latest"), "dev"),
    # jobs
    "job-restart-policy": Mutation(pod("restartPolicy", to="Always", of="CronJob/cleanup")),
    "job-ttl": Mutation(lambda objects: objects["Job/migrate"]["spec"].pop("ttlSecondsAfterFinished")),
    # probes
    "probe-liveness": Mutation(drop("livenessProbe", of="StatefulSet/queue")),
    "probe-liveness-own": Mutation(container("livenessProbe", "httpGet", "host", to="queue")),
    "probe-port": Mutation(container("readinessProbe", "httpGet", "port", to="htpp")),
    "probe-readiness": Mutation(drop("readinessProbe")),
    "probe-settings": Mutation(container("livenessProbe", "periodSeconds", to=60)),
    "probe-startup": Mutation(drop("startupProbe")),
    # resources
    "cpu-limit": Mutation(drop("resources", "limits", "cpu")),
    "cpu-request": Mutation(drop("resources", "requests", "cpu")),
    "memory-limit": Mutation(drop("resources", "limits", "memory")),
    "memory-request": Mutation(drop("resources", "requests", "memory")),
    "resource-order": Mutation(container("resources", "requests", "cpu", to="2")),
    # rollout
    "rollout-exclusive-volume": Mutation(_exclusive),
    "rollout-possible": Mutation(object_("Deployment/api", "spec", "strategy", "rollingUpdate", "maxSurge", to=0)),
    "rollout-unavailable": Mutation(
        object_("Deployment/api", "spec", "strategy", "rollingUpdate", "maxUnavailable", to=1)
    ),
    "shutdown-grace": Mutation(pod("terminationGracePeriodSeconds", to=5)),
    "shutdown-prestop": Mutation(drop("lifecycle")),
    # secrets
    "configmap-secret": Mutation(object_("ConfigMap/web-config", "data", "motd", to="ghp_" + "x9" * 18)),
    "env-secret": Mutation(container("env", 0, "value", to="https://user:hunter22@mirror.example/")),
    "secret-committed": Mutation(
        lambda objects: objects.add(
            apiVersion="v1", kind="Secret", metadata={"name": "db"}, data={"password": "aHVudGVyMg=="}
        )
    ),
    # security
    "capabilities-added": Mutation(
        container("securityContext", "capabilities", to={"drop": ["ALL"], "add": ["SYS_ADMIN"]})
    ),
    "capabilities-dropped": Mutation(container("securityContext", "capabilities", to={"drop": ["NET_RAW"]})),
    "fixed-user": Mutation(lambda objects: objects.pod()["securityContext"].pop("runAsUser")),
    "privilege-escalation": Mutation(drop("securityContext", "allowPrivilegeEscalation")),
    "privileged": Mutation(container("securityContext", "privileged", to=True)),
    "proc-mount": Mutation(container("securityContext", "procMount", to="Unmasked")),
    "read-only-root": Mutation(drop("securityContext", "readOnlyRootFilesystem")),
    "run-as-non-root": Mutation(container("securityContext", "runAsNonRoot", to=False)),
    "seccomp": Mutation(container("securityContext", "seccompProfile", to={"type": "Unconfined"})),
    "ssh-port": Mutation(lambda objects: objects.container("Deployment/web")["ports"].append({"containerPort": 22})),
    # storage
    "stateful-service": Mutation(object_("StatefulSet/queue", "spec", "serviceName", to="queues")),
    "volume-claim": Mutation(pod("volumes", 1, "persistentVolumeClaim", "claimName", to="old", of="Job/migrate")),
    "volume-mount": Mutation(container("volumeMounts", 0, "name", to="temp")),
}


def _append(name: str, text: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        file = folder / name
        file.write_text(file.read_text("utf-8") + text, "utf-8")

    return change


def _resource(line: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        file = folder / "base" / "kustomization.yaml"
        file.write_text(file.read_text().replace("resources:\n", f"resources:\n  - {line}\n"))

    return change


def _duplicate(folder: Path) -> None:
    file = folder / "base" / "roles.yaml"
    file.write_text(
        file.read_text().replace("metadata: {name: viewer}\nrules:", "metadata: {name: v, name: viewer}\nrules:")
    )


FILES: dict[str, Callable[[Path], None]] = {
    "common-labels": _append("overlays/production/kustomization.yaml", "commonLabels: {team: shop}\n"),
    "duplicate-key": _duplicate,
    "invalid-yaml": _append("base/roles.yaml", "---\na: [b\n"),
    "missing-file": _resource("nowhere.yaml"),
    "remote-base": _resource("https://github.com/example/base?ref=v1"),
    "render-failed": _append("overlays/production/kustomization.yaml", "namePrefx: a\n"),
}
