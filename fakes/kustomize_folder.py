"""A Kustomize folder with many objects, all clean, for the performance guard and the benchmark."""

from __future__ import annotations

from pathlib import Path

PARTS = ("ServiceAccount", "Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy")


def write_many(folder: Path, applications: int) -> int:
    """Write `applications` applications of five objects and three for all; return how many objects that is."""
    common = ["Namespace", "PriorityClass", "default-deny"]
    texts = [_COMMON, *(_APPLICATION.replace("NAME", f"app-{number}") for number in range(applications))]
    (folder / "all.yaml").write_text("---\n".join(texts), "utf-8")
    (folder / "kustomization.yaml").write_text(
        "namespace: many\nresources: [all.yaml]\nmetadata: {annotations: {devenv.io/environment: production}}\n",
        "utf-8",
    )
    return len(PARTS) * applications + len(common)


_COMMON = """\
apiVersion: v1
kind: Namespace
metadata:
  name: many
  labels:
    pod-security.kubernetes.io/enforce: restricted
    pod-security.kubernetes.io/audit: restricted
    pod-security.kubernetes.io/warn: restricted
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: many}
value: 1
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: default-deny}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
"""
_APPLICATION = f"""\
apiVersion: v1
kind: ServiceAccount
metadata: {{name: NAME}}
automountServiceAccountToken: false
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: NAME
  labels: {{app.kubernetes.io/name: NAME, app.kubernetes.io/instance: many}}
spec:
  replicas: 2
  strategy: {{type: RollingUpdate, rollingUpdate: {{maxSurge: 1, maxUnavailable: 0}}}}
  selector: {{matchLabels: {{app.kubernetes.io/name: NAME}}}}
  template:
    metadata:
      labels: {{app.kubernetes.io/name: NAME, app.kubernetes.io/instance: many}}
    spec:
      serviceAccountName: NAME
      priorityClassName: many
      securityContext: {{runAsNonRoot: true, runAsUser: 10001, seccompProfile: {{type: RuntimeDefault}}}}
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector: {{matchLabels: {{app.kubernetes.io/name: NAME}}}}
      containers:
        - name: main
          image: registry.example/NAME@sha256:{"0" * 64}
          imagePullPolicy: IfNotPresent
          ports: [{{name: http, containerPort: 8080}}]
          env: [{{name: LEVEL, value: info}}]
          startupProbe: {{httpGet: {{path: /health, port: http}}}}
          livenessProbe: {{httpGet: {{path: /health, port: http}}}}
          readinessProbe: {{httpGet: {{path: /ready, port: http}}}}
          lifecycle: {{preStop: {{sleep: {{seconds: 5}}}}}}
          resources: {{requests: {{cpu: 10m, memory: 16Mi}}, limits: {{cpu: 100m, memory: 32Mi}}}}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: {{drop: [ALL]}}
---
apiVersion: v1
kind: Service
metadata: {{name: NAME}}
spec:
  selector: {{app.kubernetes.io/name: NAME}}
  ports: [{{name: http, port: 80, targetPort: http}}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{name: NAME}}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector: {{matchLabels: {{app.kubernetes.io/name: NAME}}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: NAME}}
spec:
  podSelector: {{matchLabels: {{app.kubernetes.io/name: NAME}}}}
  policyTypes: [Ingress, Egress]
  ingress: [{{ports: [{{port: http}}]}}]
"""
