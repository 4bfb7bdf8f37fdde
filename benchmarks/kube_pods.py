"""Pods of the size that clusters have them: 10 kB of JSON each, with managed fields, in deployments of a hundred."""

from __future__ import annotations

from fakes.api_server import ApiServer, deployment, owner_reference, pod

PODS_EACH = 100
Object = dict[str, object]


def fill(api: ApiServer, count: int, namespace: str = "default") -> list[str]:
    """Put `count` pods with their deployments and replica sets, and return the pods' names."""
    names: list[str] = []
    for number in range(0, count, PODS_EACH):
        size = min(PODS_EACH, count - number)
        name = f"service-{number // PODS_EACH:03}"
        owner = api.put(_with_status(deployment(name, f"registry.example/{name}:1.4.2", replicas=size), size))
        replica_set = _with_status(
            deployment(f"{name}-5d8c7b9f4", f"registry.example/{name}:1.4.2", replicas=size), size
        )
        replica_set["kind"] = "ReplicaSet"
        replica_set["metadata"]["ownerReferences"] = [owner_reference(owner)]
        replica_set["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": "1"}
        owner = api.put(replica_set)
        for index in range(size):
            names.append(f"{name}-5d8c7b9f4-{index:05}")
            api.put(full_pod(names[-1], name, namespace, owner))
    return names


def _with_status(content: dict, size: int) -> dict:
    content["status"] = {
        "observedGeneration": 1,
        **dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), size),
        "conditions": [
            {
                "type": "Available",
                "status": "True",
                "reason": "MinimumReplicasAvailable",
                "message": "has minimum availability.",
            },
            {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable", "message": "has progressed."},
        ],
    }
    return content


def full_pod(name: str, service: str, namespace: str, owner: dict) -> dict:
    """A ready pod with what a chart usually gives it: probes, environment, volumes, resources, managed fields."""
    content = pod(name, f"registry.example/{service}:1.4.2", namespace=namespace, owner=owner, labels=_labels(service))
    container = content["spec"]["containers"][0]
    probe = {
        "httpGet": {"path": "/healthz", "port": "http", "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
    }
    container |= {
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
        "env": [{"name": f"SETTING_NUMBER_{number}", "value": f"a value of setting {number}"} for number in range(20)],
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
        "livenessProbe": probe,
        "readinessProbe": probe,
        "startupProbe": probe,
        "volumeMounts": [
            {"name": f"volume-{number}", "mountPath": f"/etc/volume-{number}", "readOnly": True} for number in range(6)
        ],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "terminationMessagePath": "/dev/termination-log",
        "imagePullPolicy": "IfNotPresent",
    }
    content["spec"] |= {
        "volumes": [
            {"name": f"volume-{number}", "configMap": {"name": f"{service}-config-{number}", "defaultMode": 420}}
            for number in range(6)
        ],
        "serviceAccountName": service,
        "tolerations": [
            {"key": f"node.kubernetes.io/{word}", "operator": "Exists"} for word in ("not-ready", "unreachable")
        ],
    }
    fields = {f"f:field-{number}": {".": {}, "f:name": {}, "f:value": {}} for number in range(60)}
    content["metadata"]["managedFields"] = [
        {
            "manager": manager,
            "operation": "Update",
            "apiVersion": "v1",
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:spec": fields},
        }
        for manager in ("kube-controller-manager", "kubelet")
    ]
    return content


def _labels(service: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": service, "app.kubernetes.io/part-of": "shop", "pod-template-hash": "5d8c7b9f4"}
