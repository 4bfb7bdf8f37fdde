"""Which Secrets a rendering needs, and what provides them."""

from __future__ import annotations

from collections.abc import Iterator

from devenv.manifests import access
from devenv.manifests.model import Manifest
from devenv.manifests.rendering import Rendering, same_namespace
from devenv.secrets.model import Need

# Custom resources that make a Secret: kind -> where its name stands (without one, the object's own name).
_MAKERS: dict[tuple[str, str], tuple[str, ...]] = {
    ("external-secrets.io", "ExternalSecret"): ("spec", "target", "name"),
    ("bitnami.com", "SealedSecret"): ("spec", "template", "metadata", "name"),
    ("cert-manager.io", "Certificate"): ("spec", "secretName"),
}


def needed_secrets(rendering: Rendering) -> list[Need]:
    """Return the Secrets that the rendering's objects name, each once, with everything that uses it."""
    uses = access.grouped(((use[0], use[1]), use[2:]) for use in _references(rendering))
    return [
        Need(
            overlay=rendering.name,
            namespace=namespace,
            secret=name,
            keys=tuple(sorted({key for key, _, _ in of_secret if key})),
            used_by=tuple(dict.fromkeys(used_by for _, used_by, _ in of_secret)),
            optional=all(optional for _, _, optional in of_secret),
            provided_by=_provider(rendering, namespace, name),
        )
        for (namespace, name), of_secret in sorted(uses.items())
    ]


def _provider(rendering: Rendering, namespace: str, name: str) -> str:
    """Say what in the rendering brings the Secret, or orders it from an operator; empty where nothing does."""
    secret = rendering.find("", "Secret", namespace, name)
    if secret is not None:
        return "secretGenerator" if rendering.provenance.generated(secret) else "a Secret in the manifests"
    for (group, kind), path in _MAKERS.items():
        for maker in rendering.of(group, kind):
            made = access.text(maker.data, *path) or maker.name
            if made == name and same_namespace(maker.namespace, namespace):
                return maker.title
    return ""


def _references(rendering: Rendering) -> Iterator[tuple[str, str, str, str, bool]]:
    """Yield namespace, Secret, key (empty: all of it), user, and whether the user can do without."""
    for workload in rendering.workloads:
        manifest = workload.manifest
        for place in workload.references("Secret"):
            for key in (place.items or (place.key,)) if place.name else ():
                yield manifest.namespace, place.name, key, manifest.title, place.optional
        for _, item in access.mappings(workload.pod, "imagePullSecrets"):
            yield manifest.namespace, access.text(item, "name"), ".dockerconfigjson", manifest.title, False
    for account in rendering.of("", "ServiceAccount"):
        for _, item in access.mappings(account.data, "imagePullSecrets"):
            yield account.namespace, access.text(item, "name"), ".dockerconfigjson", account.title, False
    for ingress in rendering.of("networking.k8s.io", "Ingress"):
        yield from _of_tls(ingress)


def _of_tls(ingress: Manifest) -> Iterator[tuple[str, str, str, str, bool]]:
    for _, tls in access.mappings(ingress.data, "spec", "tls"):
        name = access.text(tls, "secretName")
        for key in ("tls.crt", "tls.key") if name else ():
            yield ingress.namespace, name, key, ingress.title, False
