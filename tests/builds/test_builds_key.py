"""The content key: what is in it, what is not, and what cannot be told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from random_trees import copy_elsewhere
from sandbox import Sandbox

from devenv.backends.docker.plain import EngineImage
from devenv.builds.definition import is_fixed, is_remote, normal_image
from devenv.core.errors import ProjectError


def build_of(sandbox: Sandbox) -> dict[str, Any]:
    found: dict[str, Any] = sandbox.services["web"]["build"]
    return found


CHANGES: dict[str, Callable[[Sandbox], object]] = {
    "a file": lambda it: it.write("web/main.py", "edited"),
    "a new file": lambda it: it.write("web/new.py"),
    "the Dockerfile": lambda it: it.write("web/Dockerfile", "FROM base:1\nCOPY . /app\n"),
    "an ignore rule": lambda it: it.write("web/.dockerignore", "*.log\n*.tmp\n"),
    "the ignore file of the Dockerfile": lambda it: it.write("web/Dockerfile.dockerignore", "*.log\n"),
    "an argument's value": lambda it: build_of(it)["args"].update(VERSION="2"),
    "an argument's name": lambda it: build_of(it).update(args={"OTHER": "1"}),
    "the target": lambda it: build_of(it).update(target="dev"),
    "a platform": lambda it: build_of(it).update(platforms=["linux/arm64"]),
    "the platform of the service": lambda it: it.services["web"].update(platform="linux/arm64"),
    "the default platform": lambda it: it.environ.update(DOCKER_DEFAULT_PLATFORM="linux/arm64"),
    "a label": lambda it: build_of(it).update(labels={"a": "b"}),
    "the network": lambda it: build_of(it).update(network="none"),
    "a secret's id": lambda it: build_of(it).update(secrets=[{"source": "token"}]),
    "a named context": lambda it: build_of(it).update(additional_contexts={"lib": str(it.write("lib/x").parent)}),
    "an image as a named context": lambda it: build_of(it).update(additional_contexts={"i": "docker-image://x:1"}),
    "the base image's content": lambda it: it.have("base:1"),
    "the base image, gone": lambda it: it.images.clear(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_of_what_it_is_made_from_is_another_key(sandbox: Sandbox, change: Callable[[Sandbox], object]) -> None:
    before = sandbox.key("web")
    change(sandbox)
    assert sandbox.key("web") != before


SAME: dict[str, Callable[[Sandbox], object]] = {
    "an ignored file": lambda it: it.write("web/a.log"),
    "a file outside": lambda it: it.write("other/main.py"),
    "the order of arguments": lambda it: build_of(it).update(args={"VERSION": "1"}),
    "caches": lambda it: build_of(it).update(cache_from=["x"], cache_to=["y"], no_cache=True, pull=True),
    "tags": lambda it: build_of(it).update(tags=["other:1"]),
    "the image's name": lambda it: it.services["web"].update(image="x:1"),
    "the environment": lambda it: it.services["web"].update(environment={"A": "1"}),
    "another image": lambda it: it.have("unrelated:1"),
}


@pytest.mark.parametrize("change", SAME.values(), ids=SAME)
def test_what_changes_nothing_of_it_is_no_other_key(sandbox: Sandbox, change: Callable[[Sandbox], object]) -> None:
    before = sandbox.key("web")
    change(sandbox)
    assert sandbox.key("web") == before


def test_the_order_of_what_has_none_does_not_count(sandbox: Sandbox) -> None:
    build_of(sandbox).update(args={"A": "1", "B": "2"}, labels={"a": "1", "b": "2"})
    before = sandbox.key("web")
    build_of(sandbox).update(args={"B": "2", "A": "1"}, labels={"b": "2", "a": "1"})
    assert sandbox.key("web") == before


def test_two_clones_have_one_key(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> None:
    clone = tmp_path_factory.mktemp("elsewhere") / "clone"
    copy_elsewhere(sandbox.folder, clone)
    other = Sandbox(clone, images=sandbox.images)
    other.services = {"web": {"build": {**build_of(sandbox), "context": str(clone / "web")}}}
    assert other.key("web") == sandbox.key("web")


def test_neither_an_arguments_value_nor_a_path_of_the_machine_is_kept(sandbox: Sandbox) -> None:
    build_of(sandbox)["args"]["TOKEN"] = "hunter2"
    sandbox.build()
    kept = b"".join(path.read_bytes() for path in sandbox.store.folder.rglob("*.json"))
    assert b"TOKEN" in kept
    assert b"hunter2" not in kept
    assert str(sandbox.folder).encode() not in kept


def test_the_ignore_file_beside_the_dockerfile_comes_first(sandbox: Sandbox) -> None:
    sandbox.write("web/docker/prod.Dockerfile", "FROM base:1\n")
    build_of(sandbox)["dockerfile"] = "docker/prod.Dockerfile"
    assert sandbox.read("web").rules == {"": ("*.log",)}
    sandbox.write("web/docker/prod.Dockerfile.dockerignore", "main.py\n")
    reading = sandbox.read("web")
    assert reading.rules == {"": ("main.py",)}
    assert "main.py" not in [entry.path for entry in reading.trees[""].entries]
    assert list(reading.inputs.facts["ignore file"]) == ["prod.Dockerfile.dockerignore"]


def test_a_dockerfile_may_be_outside_the_context_inline_or_in_lower_case(sandbox: Sandbox) -> None:
    build_of(sandbox)["dockerfile"] = str(sandbox.write("elsewhere/Dockerfile", "FROM base:1\n"))
    outside = sandbox.key("web")
    build_of(sandbox).pop("dockerfile")
    build_of(sandbox)["dockerfile_inline"] = "FROM base:1\n"
    assert sandbox.key("web") != outside
    assert list(sandbox.read("web").inputs.facts["Dockerfile"]) == ["dockerfile_inline"]
    build_of(sandbox).pop("dockerfile_inline")
    (sandbox.folder / "web" / "Dockerfile").rename(sandbox.folder / "web" / "dockerfile")
    assert sandbox.read("web").inputs.facts["base image"] == {"base:1": sandbox.images["base:1"].id}


def test_a_base_image_counts_by_its_digest_and_only_for_the_target_that_needs_it(sandbox: Sandbox) -> None:
    digest = f"sha256:{'a' * 64}"
    sandbox.images["lib:2"] = EngineImage("sha256:id", ("lib:2",), (f"other@sha256:{'b' * 64}", f"lib@{digest}"))
    sandbox.write("web/Dockerfile", f"FROM lib:2 AS one\nFROM pinned@{digest} AS two\nFROM unknown AS three\nFROM one")
    found = {}
    for target in ("one", "two", "three"):
        build_of(sandbox)["target"] = target
        found |= sandbox.read("web").inputs.facts["base image"]
    assert found == {"lib:2": digest, f"pinned@{digest}": digest, "unknown": ""}


def test_what_nobody_but_buildkit_can_read_is_a_doubt(sandbox: Sandbox) -> None:
    commit = "a" * 40
    for context, has_doubt in (
        ("https://example.org/repo.git#main", True),
        ("git@example.org:repo.git", True),
        (f"https://example.org/repo.git#{commit}:sub", False),
    ):
        build_of(sandbox)["context"] = context
        assert bool(sandbox.read("web").unread) is has_doubt
        assert sandbox.key("web")


@pytest.mark.parametrize(
    ("build", "said"),
    [
        ({"context": "nowhere"}, "nowhere of service web cannot be used: it is not there"),
        ({"dockerfile": "nowhere"}, "has no Dockerfile that can be read"),
        ({"additional_contexts": {"lib": "/nowhere"}}, "/nowhere of service web cannot be used"),
        ({"additional_contexts": {"lib": "service:db"}}, "names the service 'db', which is not built here"),
        ({"context": "web/main.py"}, "it is not a folder"),
    ],
)
def test_what_is_not_there_is_named(sandbox: Sandbox, build: dict[str, Any], said: str) -> None:
    build_of(sandbox).update(build)
    if "context" in build:
        build_of(sandbox)["context"] = str(sandbox.folder / build["context"])
    with pytest.raises(ProjectError) as caught:
        sandbox.plan()
    assert said in caught.value.message
    assert caught.value.hint


def test_a_service_that_is_not_asked_for_may_be_broken(sandbox: Sandbox) -> None:
    sandbox.service("broken")
    (sandbox.folder / "broken" / "Dockerfile").unlink()
    assert [step.service for step in sandbox.plan("web").steps] == ["web"]


def test_a_broken_ignore_file_is_told(sandbox: Sandbox) -> None:
    sandbox.write("web/.dockerignore", "a[\n")
    with pytest.raises(ProjectError, match=r"'a\['"):
        sandbox.plan()


def test_names_of_images_and_contexts() -> None:
    for one in ("alpine", "alpine:latest", "library/alpine", "docker.io/library/alpine", "index.docker.io/alpine"):
        assert normal_image(one) == "alpine:latest"
    assert normal_image("localhost:5000/a") == "localhost:5000/a:latest"
    assert normal_image("a@sha256:0") == "a@sha256:0"
    assert not is_remote(str(Path("/srv/github.com/x")))
    assert is_remote("github.com/x/y")
    assert not is_fixed("https://x/y.git#v1.2.3")
