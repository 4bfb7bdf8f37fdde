"""Which pods use a ConfigMap, a Secret, a claim or a ServiceAccount: they miss it when it is deleted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.kinds import CONFIG_MAPS, PODS, PVCS, SECRETS
from devenv.control.kube.refs import Ref
from devenv.core.text import sanitize


def users_of(client: KubeClient, ref: Ref) -> list[str]:
    """Return the names of the pods that name the object in volumes or environment; none for other kinds."""
    if ref.kind not in (CONFIG_MAPS, SECRETS, PVCS):
        return []
    pods, _ = client.list(PODS, ref.namespace)
    return [sanitize(f"pod/{pod['metadata']['name']}") for pod in pods if (ref.kind.name, ref.name) in set(_uses(pod))]


def _uses(pod: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    spec = pod.get("spec") or {}
    for volume in spec.get("volumes") or ():
        sources = [volume, *((volume.get("projected") or {}).get("sources") or ())]
        for source in sources:
            yield "ConfigMap", str((source.get("configMap") or {}).get("name"))
            secret = source.get("secret") or {}
            yield "Secret", str(secret.get("secretName") or secret.get("name"))
        yield "PersistentVolumeClaim", str((volume.get("persistentVolumeClaim") or {}).get("claimName"))
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        for entry in container.get("env") or ():
            source = entry.get("valueFrom") or {}
            yield "ConfigMap", str((source.get("configMapKeyRef") or {}).get("name"))
            yield "Secret", str((source.get("secretKeyRef") or {}).get("name"))
        for entry in container.get("envFrom") or ():
            yield "ConfigMap", str((entry.get("configMapRef") or {}).get("name"))
            yield "Secret", str((entry.get("secretRef") or {}).get("name"))
    for entry in spec.get("imagePullSecrets") or ():
        yield "Secret", str(entry.get("name"))
