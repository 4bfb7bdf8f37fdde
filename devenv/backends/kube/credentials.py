"""What a kubeconfig's user signs in with: token, token file, client certificate, password, or a plugin's answer.

Plugins: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
"""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from devenv.backends.kube.errors import BadKubeconfig, Unauthorized
from devenv.backends.kube.kubeconfig import decoded, reason_of
from devenv.backends.programs import finish
from devenv.core.errors import DevenvError, ToolMissing
from devenv.core.masking import mask_secrets
from devenv.core.text import sanitize

_IN_HEADER: Final = "!#$&'*+^`|"  # besides letters, digits and "-._~" (RFC 9110, 5.6.2); "%" itself is quoted
_EARLY: Final = 10.0  # seconds before its end that a plugin's credential is renewed: a request takes time
_VERSION: Final = 0xA0  # DER's tags: [0], and the two ways to write a time
_UTC_TIME: Final = 0x17


@dataclass(frozen=True, slots=True)
class Credentials:
    """The Authorization header ("" for none) and the client certificate as PEM ("" for none).

    `impersonation` are the headers that ask to be taken for somebody else; one name may stand there several times.
    """

    authorization: str = ""
    certificate: str = ""
    key: str = ""
    expires: float | None = None
    impersonation: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        return f"Credentials(authorization={bool(self.authorization)}, certificate={bool(self.certificate)})"


class CredentialSource:
    """Gives the credentials of one user as they are now; thread-safe.

    A token file is read anew for each request (service account tokens rotate hourly), a plugin is asked again when
    its credential ends or was refused.
    """

    def __init__(
        self,
        user: Mapping[str, Any],
        cluster: Mapping[str, Any],
        environ: Mapping[str, str],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._user = user
        self._cluster = cluster
        self._environ = environ
        self._clock = clock
        self._lock = threading.Lock()
        self._plugin: Credentials | None = None

    def current(self) -> Credentials:
        """Return what to sign in with now; may run a plugin. Raises BadKubeconfig and Unauthorized."""
        return replace(self._own(), impersonation=impersonation_of(self._user))

    def _own(self) -> Credentials:
        certificate = _pem(self._user, "client-certificate")
        key = _pem(self._user, "client-key")
        token = self._token()
        if token:
            return Credentials(f"Bearer {token}", certificate, key)
        if isinstance(self._user.get("exec"), dict):
            asked = self._asked()
            return Credentials(asked.authorization, asked.certificate or certificate, asked.key or key)
        if self._user.get("username"):
            pair = f"{self._user['username']}:{self._user.get('password', '')}".encode()
            return Credentials(f"Basic {base64.b64encode(pair).decode()}", certificate, key)
        return Credentials("", certificate, key)

    def refused(self, used: Credentials) -> None:
        """Forget a plugin's credential that the server answered with 401, unless another thread already did."""
        with self._lock:
            if self._plugin is not None and self._plugin.authorization == used.authorization:
                self._plugin = None

    @property
    def hint(self) -> str:
        """What the user can do when the credentials are refused."""
        provider = self._user.get("auth-provider")
        if isinstance(provider, dict):
            return "Run any kubectl command with this context: it renews the token in the kubeconfig."
        if not self._user:
            return "The context names no user, or one that the kubeconfig does not have."
        return ""

    def _token(self) -> str:
        # tokenFile beats token, as in client-go (clientcmd/api/types.go, AuthInfo).
        path = self._user.get("tokenFile")
        if path:
            try:
                return Path(path).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise BadKubeconfig(f"Cannot read the token file {sanitize(str(path))}: {reason_of(error)}") from error
        provider = self._user.get("auth-provider")
        if isinstance(provider, dict):
            config = provider.get("config")
            # kubectl refreshes it and writes it back; a second writer would spend the refresh token.
            return str(config.get("id-token") or config.get("access-token") or "") if isinstance(config, dict) else ""
        return str(self._user.get("token") or "").strip()

    def _asked(self) -> Credentials:
        with self._lock:
            held = self._plugin
            if held is None or (held.expires is not None and held.expires - _EARLY <= self._clock()):
                answer = run_plugin(self._user["exec"], self._cluster, self._environ)
                if not answer.token and not answer.certificate:
                    raise Unauthorized(f"The credential plugin {answer.command} gave neither a token nor a certificate")
                bearer = f"Bearer {answer.token}" if answer.token else ""
                held = self._plugin = Credentials(bearer, answer.certificate, answer.key, answer.expires)
            return held


def impersonation_of(user: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the headers for a user's `as` and what belongs to it (client-go's transport/round_trippers.go)."""
    if not user.get("as"):
        return ()
    groups, extra = user.get("as-groups"), user.get("as-user-extra")
    headers = [("Impersonate-User", str(user["as"]))]
    headers += [("Impersonate-Uid", str(user["as-uid"]))] if user.get("as-uid") else []
    headers += [("Impersonate-Group", str(group)) for group in (groups if isinstance(groups, list) else ())]
    for key, values in extra.items() if isinstance(extra, dict) else ():
        name = f"Impersonate-Extra-{quote(str(key).lower(), safe=_IN_HEADER)}"
        headers += [(name, str(value)) for value in (values if isinstance(values, list) else ())]
    return tuple(headers)


def _pem(user: Mapping[str, Any], key: str) -> str:
    """Return the PEM text of `key`-data (base64), which wins, or of the file; read anew, files rotate too."""
    data = user.get(f"{key}-data")
    if data:
        return decoded(str(data), f"{key}-data")
    path = user.get(key)
    if not path:
        return ""
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadKubeconfig(f"Cannot read {key} {sanitize(str(path))}: {reason_of(error)}") from error


def certificate_end(pem: str) -> float | None:
    """Return when the first certificate of a PEM text ends, in seconds since 1970; None where that cannot be read.

    The ssl module tells it of authorities alone. RFC 5280, 4.1: Certificate > TBSCertificate > version (optional),
    serialNumber, signature, issuer, validity > notBefore, notAfter.
    """
    try:
        begin = pem.index("-----BEGIN CERTIFICATE-----")
        end = "-----END CERTIFICATE-----"
        der = ssl.PEM_cert_to_DER_cert(pem[begin : pem.index(end, begin) + len(end)])
        fields = _parts(_parts(_parts(der)[0][1])[0][1])
        validity = fields[4 if fields[0][0] == _VERSION else 3][1]
        tag, value = _parts(validity)[1]
        text = value.decode("ascii")
        if tag == _UTC_TIME:
            text = f"{'19' if text >= '50' else '20'}{text}"
        return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except (ValueError, IndexError):
        return None


def _parts(der: bytes) -> list[tuple[int, bytes]]:
    """Return (tag, content) of each DER value in a row."""
    parts = []
    while der:
        tag, length, begin = der[0], der[1], 2
        if length & 0x80:  # the length's own length
            begin += length & 0x7F
            length = int.from_bytes(der[2:begin])
        parts.append((tag, der[begin : begin + length]))
        der = der[begin + length :]
    return parts


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
    if settings.get("provideClusterInfo") is True:
        spec["cluster"] = {key: cluster[key] for key in _CLUSTER_FIELDS if cluster.get(key)}
    info = {"apiVersion": settings.get("apiVersion", ""), "kind": "ExecCredential", "spec": spec}
    own = {
        str(item.get("name")): str(item.get("value") or "")
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
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Unauthorized(f"The credential plugin {shown} printed no ExecCredential") from error
    given = answer.get("apiVersion")
    if given != version or answer.get("kind") != "ExecCredential":
        what = f"answers with {sanitize(str(given))} {sanitize(str(answer.get('kind')))}, not {version} ExecCredential"
        raise Unauthorized(f"The credential plugin {shown} {what}", "Set exec's apiVersion to what the plugin speaks.")
    return PluginAnswer(shown, token, certificate, key, expires)
