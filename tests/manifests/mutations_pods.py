"""The mutations of what is in pods."""

from __future__ import annotations

from mutation_tools import Mutation, Objects, both, container, drop, object_, pod


def _exclusive(objects: Objects) -> None:
    objects.pod()["volumes"].append({"name": "reports", "persistentVolumeClaim": {"claimName": "reports"}})


def _plain_config(objects: Objects) -> None:
    objects.add(apiVersion="v1", kind="ConfigMap", metadata={"name": "notes"}, data={"A": "b"})
    objects.pod("Job/migrate")["volumes"].append({"name": "notes", "configMap": {"name": "notes"}})


MUTATIONS: dict[str, Mutation] = {
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
