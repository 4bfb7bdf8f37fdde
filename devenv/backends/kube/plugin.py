"""Credential plugins: the program that a kubeconfig's `exec` names prints a token or a certificate.

https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from devenv.backends.kube.errors import BadKubeconfig, Unauthorized
from devenv.backends.programs import finish
from devenv.core.errors import DevenvError, ToolMissing
from devenv.core.text import mask_secrets, sanitize

PLUGIN_TIMEOUT: Final = 60.0  # seconds; cloud plugins need some for their own network calls
_CLUSTER_FIELDS: Final = ("server", "tls-server-name", "insecure-skip-tls-verify", "certificate-authority-data")


@dataclass(frozen=True, slots=True)
class PluginAnswer:
    """What a plugin gave; `expires` in seconds since 1970, None where it holds until it is refused."""

    command: str
    token: str = ""
    certificate: str = ""
    key: str = ""
    expires: float | None = None


def run_plugin(settings: Mapping[str, Any], cluster: Mapping[str, Any], environ: Mapping[str, str]) -> PluginAnswer:
    """Run the plugin without a terminal; raises BadKubeconfig (none there) and Unauthorized with its last words."""
    command = str(settings.get("command") or "")
    shown = sanitize(command)
    if not command:
        raise BadKubeconfig("The kubeconfig's exec names no command")
    if settings.get("interactiveMode") == "Always":
        hint = "Sign in with kubectl first, or use a context with another user."
        raise Unauthorized(f"The credential plugin {shown} wants a terminal of its own", hint)
    arguments = [str(word) for word in settings.get("args") or ()]
    try:
        done = finish(
            [command, *arguments],
            _environment(settings, cluster, environ),
            timeout=PLUGIN_TIMEOUT,
            what=shown,
            install=sanitize(str(settings.get("installHint") or "")) or "Install it, or use another context.",
            slow="",
        )
    except ToolMissing as error:
        raise BadKubeconfig(f"The credential plugin {error.message}", error.hint) from error
    except DevenvError as error:
        raise Unauthorized(f"The credential plugin {error.message}") from error
    if done.returncode:
        words = mask_secrets(sanitize(done.stderr.strip().splitlines()[-1])) if done.stderr.strip() else "no word why"
        raise Unauthorized(f"The credential plugin {shown} failed with {done.returncode}: {words}", "Sign in again.")
    return _answer(shown, done.stdout, str(settings.get("apiVersion") or ""))


def _environment(settings: Mapping[str, Any], cluster: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    spec: dict[str, Any] = {"interactive": False}
    if settings.get("provideClusterInfo") == "true":
        spec["cluster"] = {key: cluster[key] for key in _CLUSTER_FIELDS if cluster.get(key)}
        if "insecure-skip-tls-verify" in spec["cluster"]:
            spec["cluster"]["insecure-skip-tls-verify"] = cluster["insecure-skip-tls-verify"] == "true"
    info = {"apiVersion": settings.get("apiVersion", ""), "kind": "ExecCredential", "spec": spec}
    own = {
        str(item.get("name")): str(item.get("value", ""))
        for item in settings.get("env") or ()
        if isinstance(item, dict) and item.get("name")
    }
    return {**environ, **own, "KUBERNETES_EXEC_INFO": json.dumps(info)}


def _answer(shown: str, output: bytes, version: str) -> PluginAnswer:
    try:
        answer = json.loads(output)
        status = answer["status"]
        token = str(status.get("token") or "")
        certificate = str(status.get("clientCertificateData") or "")
        key = str(status.get("clientKeyData") or "")
        until = status.get("expirationTimestamp")
        expires = datetime.fromisoformat(str(until)).timestamp() if until else None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unauthorized(f"The credential plugin {shown} printed no ExecCredential") from error
    given = answer.get("apiVersion")
    if given != version or answer.get("kind") != "ExecCredential":
        what = f"answers with {sanitize(str(given))} {sanitize(str(answer.get('kind')))}, not {version} ExecCredential"
        raise Unauthorized(f"The credential plugin {shown} {what}", "Set exec's apiVersion to what the plugin speaks.")
    return PluginAnswer(shown, token, certificate, key, expires)
