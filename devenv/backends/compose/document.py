"""What devenv needs from the document that `docker compose config --format json` prints.

The document is Compose's canonical form (https://github.com/compose-spec/compose-spec/blob/main/spec.md): short
syntaxes are already expanded and variables are replaced.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from devenv.backends.compose.find import ComposeOptions
from devenv.core.errors import ProjectError
from devenv.core.masking import learn
from devenv.core.model import Dependency, Port, Project, Service
from devenv.core.stored import read_text
from devenv.core.text import sanitize

_RESTART_CONDITIONS = {"none": "no", "any": "always", "on-failure": "on-failure"}  # deploy.restart_policy.condition


def parse_project(document: bytes, options: ComposeOptions) -> Project:
    """Read Compose's canonical JSON; raises ProjectError where it is not what Compose documents.

    The secrets that it holds are masked from then on.
    """
    try:
        data = json.loads(document)
        services = tuple(_service(name, body or {}) for name, body in sorted((data.get("services") or {}).items()))
        volumes = tuple(
            sanitize(volume.get("name") or key)
            for key, volume in sorted((data.get("volumes") or {}).items())
            if not volume.get("external")
        )
        name = sanitize(data["name"])
        _learn_secrets(data)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ProjectError(
            f"Compose described the project in a way devenv does not understand: {error}",
            "Compare with: docker compose config --format json",
        ) from error
    files = options.files or options.default_files
    directory = options.project_directory or (str(Path(files[0]).parent) if files else options.directory)
    return Project(
        name=name,
        directory=directory,
        files=files,
        services=services,
        profiles=options.profiles,
        env_files=options.env_files,
        volumes=volumes,
    )


def _learn_secrets(data: Mapping[str, Any]) -> None:
    """Have the values masked that services' variables and the files of `secrets` hold."""
    for service in (data.get("services") or {}).values():
        learn((service or {}).get("environment"))
    for secret in (data.get("secrets") or {}).values():
        if isinstance(secret, dict) and isinstance(secret.get("file"), str):
            learn({"": read_text(Path(secret["file"]))}, all_secret=True)


def _service(name: str, body: Mapping[str, Any]) -> Service:
    deploy = body.get("deploy") or {}
    check = body.get("healthcheck") or {}
    provider = sanitize(str((body.get("provider") or {}).get("type") or ""))
    replicas = 0 if provider else body.get("scale", deploy.get("replicas", 1))
    return Service(
        name=sanitize(name),
        image=sanitize(body.get("image") or ""),
        builds="build" in body,
        replicas=int(replicas),
        provider=provider,
        restart=_restart(body, deploy),
        has_healthcheck=bool(check) and not check.get("disable") and check.get("test") != ["NONE"],
        depends_on=tuple(
            Dependency(
                sanitize(dependency), str(how.get("condition", "service_started")), how.get("required", True) is True
            )
            for dependency, how in sorted((body.get("depends_on") or {}).items())
        ),
        shares=tuple(
            sanitize(value.removeprefix("service:"))
            for value in dict.fromkeys(str(body.get(key) or "") for key in ("network_mode", "pid", "ipc"))
            if value.startswith("service:")
        ),
        ports=tuple(_port(port) for port in body.get("ports") or ()),
        container_name=sanitize(str(body.get("container_name") or "")),
        context=_folder((body.get("build") or {}).get("context")),
        profiles=tuple(sanitize(str(profile)) for profile in body.get("profiles") or ()),
        env_files=tuple(
            sanitize(str(entry["path"])) for entry in body.get("env_file") or () if entry.get("required", True)
        ),
    )


def _folder(context: object) -> str:
    return sanitize(context) if isinstance(context, str) and context.startswith("/") else ""


def _restart(body: Mapping[str, Any], deploy: Mapping[str, Any]) -> str:
    if body.get("restart"):
        return str(body["restart"])
    policy = deploy.get("restart_policy") or {}
    if not policy:
        return "no"
    restart = _RESTART_CONDITIONS.get(policy.get("condition", "any"), "always")
    attempts = policy.get("max_attempts")
    return f"{restart}:{attempts}" if attempts and restart == "on-failure" else restart


def _port(port: Mapping[str, Any]) -> Port:
    published = str(port.get("published") or "")
    return Port(
        container=int(port["target"]),
        protocol=str(port.get("protocol", "tcp")),
        host=int(published) if published.isdigit() else None,  # of a range, the engine chooses one
        host_ip=str(port.get("host_ip", "")),
    )
