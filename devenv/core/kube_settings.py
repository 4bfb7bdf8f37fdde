"""The `[kubernetes]` table of devenv.toml: which cluster, and what may be changed there.

[kubernetes]
context = "minikube"             # default: the kubeconfig's current context   DEVENV_CONTEXT, --context
namespace = "docsearch"          # default: the context's                      DEVENV_NAMESPACE, --namespace
allow = ["team-sandbox-*"]       # contexts that may be changed, beside minikube, kind-*, k3d-* and docker-desktop
minikube = ["--cpus=4", "--memory=6g"]  # what `minikube start` is given where it makes a cluster; default: nothing
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from msgspec import Struct

ALLOWED = ("minikube", "kind-*", "k3d-*", "docker-desktop")


class KubeSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """All of `[kubernetes]`; "" means: as the kubeconfig says."""

    context: str = ""
    namespace: str = ""
    allow: tuple[str, ...] = ()
    minikube: tuple[str, ...] = ()

    def may_change(self, context: str) -> bool:
        """Whether the context is on the allow-list (shell patterns, case matters)."""
        return any(fnmatchcase(context, pattern) for pattern in (*ALLOWED, *self.allow))
