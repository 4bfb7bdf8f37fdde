"""Which engine the docker CLI would talk to: DOCKER_HOST, DOCKER_CONTEXT, the current context, or the default socket.

The rules are those of docker/cli (cli/command/cli.go `resolveContextName`, cli/context/store, opts/hosts.go).
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from msgspec import Struct

from devenv.core.errors import UsageError
from devenv.core.masking import mask_secrets
from devenv.core.model import Port
from devenv.core.text import sanitize

DEFAULT_CONTEXT: Final = "default"
DEFAULT_HOST: Final = "npipe:////./pipe/docker_engine" if sys.platform == "win32" else "unix:///var/run/docker.sock"
_SCHEMES: Final = ("unix", "tcp", "http", "https", "ssh", "npipe")
_EXAMPLES: Final = "unix:///path/to/socket, tcp://host:port, ssh://user@host" + (
    ", npipe:////./pipe/name" if sys.platform == "win32" else ""
)
# Of config.json, what the docker CLI reads before it talks to an engine or a registry.
_TYPES: Final[Mapping[str, type]] = {"auths": dict, "credHelpers": dict, "HttpHeaders": dict, "credsStore": str}
_WAYS_OPEN: Final = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}  # all addresses, and the one to ask here
_BARE_ADDRESS: Final = re.compile(r"([\w.-]*|\[[0-9a-fA-F:.%]+\])(:\d+)?")


class TlsFiles(Struct, frozen=True):
    """The files of a TLS connection; with `verify` False the engine's certificate is not checked."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    verify: bool = True


class Endpoint(Struct, frozen=True):
    """Where the engine is, and which setting said so."""

    host: str  # with its scheme: unix://, tcp://, ssh://, npipe://
    context: str = DEFAULT_CONTEXT
    tls: TlsFiles | None = None
    source: str = "default"  # DOCKER_HOST, DOCKER_CONTEXT, the file with the current context, or "default"

    @property
    def scheme(self) -> str:
        """The part of `host` before the colon."""
        return self.host.partition(":")[0]

    @property
    def label(self) -> str:
        """How the endpoint is shown to people."""
        return f"{self.shown} ({'DOCKER_HOST' if self.source == 'DOCKER_HOST' else f'context {self.context}'})"

    @property
    def shown(self) -> str:
        """The host without a password that somebody wrote into it."""
        return mask_secrets(self.host)


def resolve_endpoint(environ: Mapping[str, str] = os.environ) -> Endpoint:
    """Return the endpoint that the docker CLI would use with this environment.

    Raises UsageError that names the file or the variable when a setting is broken or names a missing context; a
    config.json that cannot be used means the defaults, see `config_problem`.
    """
    folder = _config_dir(environ)
    if environ.get("DOCKER_HOST"):
        tls = _tls_of_environment(environ, folder)
        host = _normal_host(environ["DOCKER_HOST"], "DOCKER_HOST", tls=tls is not None)
        return Endpoint(host, DEFAULT_CONTEXT, tls if host.startswith(("tcp:", "http")) else None, "DOCKER_HOST")
    if environ.get("DOCKER_CONTEXT"):
        context, source = environ["DOCKER_CONTEXT"], "DOCKER_CONTEXT"
    else:
        config = folder / "config.json"
        context, source = _read_config(config)[0], str(config)
    if context in ("", DEFAULT_CONTEXT):
        _tls_of_environment(environ, folder)
        return Endpoint(DEFAULT_HOST)
    return _endpoint_of_context(folder, context, source)


def known_contexts(environ: Mapping[str, str] = os.environ) -> tuple[tuple[str, str], ...]:
    """Return the names of all docker contexts, each with its host; one that cannot be read is left out."""
    folder = _config_dir(environ)
    contexts = [(DEFAULT_CONTEXT, DEFAULT_HOST)]
    for meta in sorted((folder / "contexts" / "meta").glob("*/meta.json")):
        try:
            name = str(_json_object(meta.read_text(encoding="utf-8"), meta)["Name"])
            contexts.append((name, _endpoint_of_context(folder, name, str(meta)).shown))
        except (OSError, UnicodeDecodeError, UsageError, KeyError):
            continue
    return tuple(contexts)


def published_at(port: Port, endpoint: Endpoint) -> str:
    """Return the host at which a published port of a container is reached from here, as a URL has it."""
    if port.host_ip in _WAYS_OPEN:
        remote = urlsplit(endpoint.host).hostname if endpoint.scheme in ("tcp", "http", "https", "ssh") else None
        return remote or _WAYS_OPEN[port.host_ip]
    return f"[{port.host_ip}]" if ":" in port.host_ip else port.host_ip


def _config_dir(environ: Mapping[str, str]) -> Path:
    if environ.get("DOCKER_CONFIG"):
        return Path(environ["DOCKER_CONFIG"])
    home = environ.get("HOME") or environ.get("USERPROFILE")
    return (Path(home) if home else Path.home()) / ".docker"


def _normal_host(host: str, source: str, *, tls: bool = False) -> str:
    """Complete a host as opts.ParseHost does: a bare address is tcp, and the ports are 2375 and, with TLS, 2376."""
    host = host.strip() or DEFAULT_HOST
    host = {"unix://": "unix:///var/run/docker.sock", "npipe://": "npipe:////./pipe/docker_engine"}.get(host, host)
    scheme, rest = _split_host(host, source)
    if scheme == "tcp":
        address, slash, path = rest.partition("/")
        if not re.search(r":\d+$", address):
            address = f"{address or 'localhost'}:{2376 if tls else 2375}"
        elif address.startswith(":"):
            address = f"localhost{address}"
        rest = address + slash + path
    return f"{scheme}://{rest}"


def _split_host(host: str, source: str) -> tuple[str, str]:
    scheme, separator, rest = host.partition("://")
    if not separator and _BARE_ADDRESS.fullmatch(host):
        scheme, rest = "tcp", host
    if scheme == "npipe" and sys.platform != "win32":
        reason = "is a named pipe of Windows, which does not exist here"
    elif scheme not in _SCHEMES or not (rest or scheme == "tcp") or not rest.isprintable():
        reason = "is not an address of a Docker Engine"
    else:
        try:
            if scheme not in ("unix", "npipe"):
                _ = urlsplit(f"{scheme}://{rest}").port
            return scheme, rest
        except ValueError as error:
            reason = f"is not an address of a Docker Engine: {error}"
    raise UsageError(
        f"{source}: {mask_secrets(sanitize(host))!r} {reason}", f"Use {_EXAMPLES}, or choose another docker context."
    )


def _tls_of_environment(environ: Mapping[str, str], folder: Path) -> TlsFiles | None:
    # Any value counts, "0" too. DOCKER_TLS alone: encrypt, but believe any certificate (cli/flags/options.go).
    verify = bool(environ.get("DOCKER_TLS_VERIFY"))
    if not (verify or environ.get("DOCKER_TLS")):
        return None
    files = _tls_files(Path(environ.get("DOCKER_CERT_PATH") or folder), verify=verify)
    if files.ca is None:
        raise UsageError(
            f"{'DOCKER_TLS_VERIFY' if verify else 'DOCKER_TLS'} is set, but there is no "
            f"{Path(environ.get('DOCKER_CERT_PATH') or folder) / 'ca.pem'}",
            "Point DOCKER_CERT_PATH to the folder with ca.pem, cert.pem and key.pem, or unset the variable.",
        )
    return files


def _tls_files(folder: Path, *, verify: bool) -> TlsFiles:
    def existing(name: str) -> str | None:
        path = folder / name
        return str(path) if path.is_file() else None

    return TlsFiles(existing("ca.pem"), existing("cert.pem"), existing("key.pem"), verify)


def config_problem(environ: Mapping[str, str] = os.environ) -> str:
    """Say why the docker CLI's config.json cannot be used; "" where it can, or is not there.

    The docker CLI warns and goes on with its defaults, and so does devenv (cli/config/config.go LoadDefaultConfigFile).
    """
    return _read_config(_config_dir(environ) / "config.json")[1]


def credential_helpers(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the programs that docker's config.json names for passwords, each with the setting and the file."""
    config = _config_dir(environ) / "config.json"
    try:
        content = _json_object(config.read_text(encoding="utf-8"), config)
    except (OSError, UnicodeDecodeError, UsageError):
        return {}
    helpers = content.get("credHelpers")
    of_registries = helpers.items() if isinstance(helpers, dict) else ()
    named = [("credsStore", content.get("credsStore"))]
    named += [(f"credHelpers of {sanitize(str(registry))}", name) for registry, name in of_registries]
    settings: dict[str, str] = {}
    for setting, name in named:
        if isinstance(name, str) and name:
            settings.setdefault(f"docker-credential-{sanitize(name)}", f"{setting} in {config}")
    return settings


def _read_config(config: Path) -> tuple[str, str]:
    """Return the current context and what is wrong with the file, "" where nothing is."""
    try:
        text = config.read_text(encoding="utf-8")
        content = _json_object(text, config) if text.strip() else {}
    except FileNotFoundError:
        return "", ""
    except (OSError, UnicodeDecodeError) as error:
        return "", f"{config}: cannot be read: {error}"
    except UsageError as error:
        return "", error.message
    context = content.get("currentContext") or ""
    if not isinstance(context, str):
        return "", f"{config}: currentContext is not a text"
    for key, kind in _TYPES.items():
        if not isinstance(content.get(key), kind | None):
            return context, f"{config}: {key} is not {'a text' if kind is str else 'an object'}"
    return context, ""


def _endpoint_of_context(folder: Path, context: str, source: str) -> Endpoint:
    import hashlib  # deferred: most have no context, and it takes as long as all else here

    shown = sanitize(context)
    digest = hashlib.sha256(context.encode("utf-8", "replace")).hexdigest()
    meta = folder / "contexts" / "meta" / digest / "meta.json"
    try:
        text = meta.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UsageError(
            f"{source}: the docker context {shown!r} does not exist (no {meta})",
            "`docker context ls` lists the contexts, `docker context use NAME` chooses one.",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{meta}: cannot be read: {error}", f"Create the context {shown!r} again.") from error
    endpoints = _json_object(text, meta).get("Endpoints")
    docker = endpoints.get("docker") if isinstance(endpoints, dict) else None
    host = docker.get("Host") if isinstance(docker, dict) else None
    if not isinstance(docker, dict) or (host is not None and not isinstance(host, str)):
        raise UsageError(
            f"{meta}: the context {shown!r} has no docker endpoint",
            "Choose another one with `docker context use NAME`, or create it again.",
        )
    tls = _tls_of_context(folder / "contexts" / "tls" / digest / "docker", verify=not docker.get("SkipTLSVerify"))
    # A context without a host means the default socket (cli/context/docker/load.go). Its host is used as it stands.
    scheme, rest = _split_host(host or DEFAULT_HOST, str(meta))
    return Endpoint(f"{scheme}://{rest}", context, tls, source)


def _tls_of_context(folder: Path, *, verify: bool) -> TlsFiles | None:
    files = _tls_files(folder, verify=verify)
    # Without any file there is TLS only to say that nothing is verified.
    return files if files.ca or files.cert or files.key or not verify else None


def _json_object(text: str, path: Path) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise UsageError(
            f"{path}: is not valid JSON: {error}", "Repair the file, or create the context again."
        ) from error
    except RecursionError as error:
        raise UsageError(f"{path}: is nested too deeply", "Repair the file, or create the context again.") from error
    if not isinstance(value, dict):
        raise UsageError(f"{path}: does not hold a JSON object", "Repair the file, or create the context again.")
    return value
