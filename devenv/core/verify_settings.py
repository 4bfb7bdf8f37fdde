"""The `[verify]` tables of devenv.toml: what smoke tests ask of a project.

[verify]
budgets = {cold_start = 120, hot_reload = 3}     # over those of devenv/verify/criteria.py; in the criterion's unit
exclude = ["data"]                               # names that the private copy of the project leaves out
tests = "smoketests"                             # the folder that `devenv verify` gives to pytest

[[verify.endpoint]]                              # default: one for each published port
name = "api"
service = "api"
port = 8000                                      # the container's; default: the only one that is published
path = "/health"
ready = "/ready"

[[verify.reload]]                                # the change of a source file that its service must serve
service = "api"
file = "api/views.py"
find = "version = 1"
replace = "version = '{nonce}'"
path = "/version"

[verify.persistence]                             # {nonce} is a new word each time, {kept} is prepare's `keep`
prepare = {endpoint = "api", method = "POST", path = "/lists", body = '{"name": "{nonce}"}', keep = "id"}
write = {endpoint = "api", method = "POST", path = "/lists/{kept}", body = '{"text": "{nonce}"}', status = 201}
read = {endpoint = "api", path = "/search?q={nonce}", contains = "{nonce}"}

[verify.kubernetes]                              # for --target kubernetes
overlay = "dev"                                  # of [manifests.overlays], or a folder: what is deployed and tested
rolling = "staging"                              # the same where every service rolls without a gap; default: none
secrets = ["database/password"]                  # SECRET/KEY pairs that a copy gets, with random values
client = "api"                                   # the service whose image has python3, for calls inside the cluster
ingress = "https://127.0.0.1:8443"               # where the ingress controller is reached; default: it is looked for
images = {"docker.io/library/postgres" = "registry.test/postgres:17"}   # instead of what the overlays name
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from devenv.core.errors import UsageError
from devenv.core.toml_table import Table

TESTS = "smoketests"
BROKEN = "\n)(\n"  # no language that these braces open nothing in reads this


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """An HTTP address of a service: `path` answers 2xx when it serves, `ready` when it may get work ("" if none).

    Without a `path`, any answer of / below 500 is one: that something is served is all that is known.
    """

    name: str
    service: str
    port: int | None = None
    path: str = ""
    ready: str = ""


@dataclass(frozen=True, slots=True)
class ReloadSettings:
    """How a changed source file shows: `find` in `file` becomes `replace`, and then GET `path` contains the nonce."""

    service: str
    endpoint: str
    file: Path
    find: str
    replace: str
    path: str
    broken: str = BROKEN


@dataclass(frozen=True, slots=True)
class CallSettings:
    """One HTTP call. `status` 0: any of 2xx. `keep` names the field of a JSON answer that becomes {kept}."""

    endpoint: str
    method: str
    path: str
    body: str = ""
    status: int = 0
    keep: str = ""
    contains: str = ""


@dataclass(frozen=True, slots=True)
class PersistenceSettings:
    """How to write something and how to find it again."""

    write: CallSettings
    read: CallSettings
    prepare: CallSettings | None = None


@dataclass(frozen=True, slots=True)
class KubeVerifySettings:
    """All of `[verify.kubernetes]`. `images`: a name without tag and digest, and the image that is used instead."""

    overlay: str = ""
    rolling: str = ""
    secrets: tuple[str, ...] = ()
    client: str = ""
    ingress: str = ""
    images: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VerifySettings:
    """All of `[verify]`."""

    budgets: Mapping[str, float] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    tests: str = TESTS
    endpoints: tuple[EndpointSettings, ...] = ()
    reloads: tuple[ReloadSettings, ...] = ()
    persistence: PersistenceSettings | None = None
    kubernetes: KubeVerifySettings = field(default_factory=KubeVerifySettings)


def read_verify(table: Table, root: Path) -> VerifySettings:
    """Read the table; raises UsageError that names the file and the key."""
    settings = VerifySettings(
        budgets=table.named_seconds("budgets"),
        exclude=table.texts("exclude"),
        tests=table.text("tests") or TESTS,
        endpoints=tuple(_endpoint(item) for item in table.list_of_tables("endpoint")),
        reloads=tuple(_reload(item, root) for item in table.list_of_tables("reload")),
        persistence=_persistence(table.table("persistence")) if table.has("persistence") else None,
        kubernetes=_kubernetes(table.table("kubernetes")),
    )
    table.finish()
    return settings


def _endpoint(table: Table) -> EndpointSettings:
    service = table.required_text("service")
    port = table.whole("port", 0)
    found = EndpointSettings(
        name=table.text("name") or service,
        service=service,
        port=port or None,
        path=table.text("path"),
        ready=table.text("ready"),
    )
    table.finish()
    return found


def _reload(table: Table, root: Path) -> ReloadSettings:
    service = table.required_text("service")
    found = ReloadSettings(
        service=service,
        endpoint=table.text("endpoint") or service,
        file=root / table.required_text("file"),
        find=table.required_text("find"),
        replace=table.required_text("replace", contains="{nonce}"),
        path=table.required_text("path"),
        broken=table.text("broken") or BROKEN,
    )
    table.finish()
    return found


def _persistence(table: Table) -> PersistenceSettings:
    found = PersistenceSettings(
        write=_call(table.table("write"), "POST"),
        read=_call(table.table("read"), "GET"),
        prepare=_call(table.table("prepare"), "POST") if table.has("prepare") else None,
    )
    table.finish()
    return found


def _kubernetes(table: Table) -> KubeVerifySettings:
    secrets = table.texts("secrets")
    for pair in secrets:
        name, _, key = pair.partition("/")
        if not name or not key or "/" in key:
            raise UsageError(
                f"devenv.toml: verify.kubernetes.secrets has {pair!r}",
                "Write SECRET/KEY: the name of the Secret and the key that gets a random value.",
            )
    found = KubeVerifySettings(
        overlay=table.text("overlay"),
        rolling=table.text("rolling"),
        secrets=secrets,
        client=table.text("client"),
        ingress=table.text("ingress"),
        images=table.named_texts("images"),
    )
    table.finish()
    return found


def _call(table: Table, method: str) -> CallSettings:
    found = CallSettings(
        endpoint=table.required_text("endpoint"),
        method=(table.text("method") or method).upper(),
        path=table.required_text("path"),
        body=table.text("body"),
        status=table.whole("status", 0),
        keep=table.text("keep"),
        contains=table.text("contains"),
    )
    table.finish()
    return found
