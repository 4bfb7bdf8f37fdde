"""The `[verify]` tables of devenv.toml: what smoke tests ask of a project.

[verify]
budgets = {cold_start = 120, hot_reload = 3}     # over those of devenv/runs/criteria.py; in the criterion's unit
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

from pathlib import Path
from typing import Annotated, ClassVar

from msgspec import Meta, field
from msgspec.structs import force_setattr

from devenv.core.toml import Number, Table, Text, Whole

BROKEN = "\n)(\n"  # no language that these braces open nothing in reads this
WithNonce = Annotated[str, Meta(pattern=r"\{nonce\}", description="a string with {nonce} in it")]
Secret = Annotated[
    str,
    Meta(
        pattern=r"^[^/\n]+/[^/\n]+(?!\n)$",  # as JSON schemas have it too, which know no \Z
        description="SECRET/KEY",
        extra={"hint": "Write SECRET/KEY: the name of the Secret and the key that gets a random value."},
    ),
]

TESTS = "smoketests"


class EndpointSettings(Table, frozen=True):
    """An HTTP address of a service: `path` answers 2xx when it serves, `ready` when it may get work ("" if none).

    Without a `path`, any answer of / below 500 is one: that something is served is all that is known. Without a name
    it has the service's.
    """

    service: Text
    name: str = ""
    port: Whole | None = None
    path: str = ""
    ready: str = ""

    def __post_init__(self) -> None:
        """Put the defaults in."""
        force_setattr(self, "name", self.name or self.service)
        force_setattr(self, "port", self.port or None)


class ReloadSettings(Table, frozen=True):
    """How a changed source file shows: `find` in `file` becomes `replace`, and then GET `path` contains the nonce."""

    service: Text
    file: Path
    find: Text
    replace: WithNonce
    path: Text
    endpoint: str = ""
    broken: str = BROKEN

    def __post_init__(self) -> None:
        """Put the defaults in; raises ValueError."""
        super().__post_init__()
        force_setattr(self, "endpoint", self.endpoint or self.service)
        if self.file == Path():
            raise ValueError("file must be a string that is not empty, not ''")


class CallSettings(Table, frozen=True):
    """One HTTP call. `status` 0: any of 2xx. `keep` names the field of a JSON answer that becomes {kept}."""

    usual: ClassVar[str] = "POST"

    endpoint: Text
    path: Text
    method: str = ""
    body: str = ""
    status: Whole = 0
    keep: str = ""
    contains: str = ""

    def __post_init__(self) -> None:
        """Put the default in."""
        force_setattr(self, "method", (self.method or self.usual).upper())


class ReadSettings(CallSettings, frozen=True):
    """The call that finds again what was written."""

    usual: ClassVar[str] = "GET"


class PersistenceSettings(Table, frozen=True):
    """How to write something and how to find it again."""

    write: CallSettings
    read: ReadSettings
    prepare: CallSettings | None = None


class KubeVerifySettings(Table, frozen=True):
    """All of `[verify.kubernetes]`. `images`: a name without tag and digest, and the image that is used instead."""

    overlay: str = ""
    rolling: str = ""
    secrets: tuple[Secret, ...] = ()
    client: str = ""
    ingress: str = ""
    images: dict[str, str] = field(default_factory=dict)


class VerifySettings(Table, frozen=True):
    """All of `[verify]`."""

    budgets: dict[str, Number] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    tests: str = TESTS
    endpoints: tuple[EndpointSettings, ...] = field(name="endpoint", default=())
    reloads: tuple[ReloadSettings, ...] = field(name="reload", default=())
    persistence: PersistenceSettings | None = None
    kubernetes: KubeVerifySettings = KubeVerifySettings()
