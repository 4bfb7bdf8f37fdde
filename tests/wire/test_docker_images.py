"""The list of an engine's images: by name, whatever an engine leaves out of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from devenv.backends.docker.endpoint import Endpoint
from devenv.backends.docker.plain import EngineImage, list_images
from devenv.core.errors import DevenvError, EngineUnreachable
from fakes.docker_engine import FakeEngine

LIST = "/images/json"
ENTRIES = [
    {"Id": "sha256:1", "RepoTags": ["web:1", "web:2"], "RepoDigests": ["web@sha256:9"], "Labels": {"a": "b"}},
    {"Id": "sha256:2", "RepoTags": ["<none>:<none>"], "RepoDigests": None, "Labels": None},
    {"Id": "sha256:3", "RepoTags": None},
    {"Id": "sha256:4", "RepoTags": ["db:1"], "Labels": ["no mapping"]},
    7,
]


def test_images_are_found_by_each_of_their_names() -> None:
    with FakeEngine() as engine:
        engine.faults[LIST] = (200, json.dumps(ENTRIES).encode())
        found = list_images(Endpoint(engine.host))
    web = EngineImage("sha256:1", ("web:1", "web:2"), ("web@sha256:9",), {"a": "b"})
    assert found == {"web:1": web, "web:2": web, "db:1": EngineImage("sha256:4", ("db:1",))}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b"{}", EngineUnreachable),
        (500, b'{"message": "no"}', DevenvError),
        (200, b"<", DevenvError),
    ],
)
def test_any_other_answer_is_an_error(status: int, body: bytes, kind: type[DevenvError]) -> None:
    with FakeEngine() as engine:
        engine.faults[LIST] = (status, body)
        with pytest.raises(kind):
            list_images(Endpoint(engine.host))


def test_no_engine(tmp_path: Path) -> None:
    with pytest.raises(EngineUnreachable, match="no such socket"):
        list_images(Endpoint(f"unix://{tmp_path}/nobody.sock"))


def test_on_a_unix_socket_the_sdk_is_not_imported() -> None:
    code = (
        "import sys\n"
        "from devenv.backends.docker.endpoint import Endpoint\n"
        "from devenv.backends.docker.plain import list_images\n"
        "assert list_images(Endpoint(sys.argv[1]))\n"
        "assert not {'docker', 'requests', 'urllib3'} & sys.modules.keys()\n"
    )
    with FakeEngine() as engine:
        engine.faults[LIST] = (200, json.dumps(ENTRIES).encode())
        done = subprocess.run([sys.executable, "-c", code, engine.host], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
