"""An image that a build made again is kept: when, and what is asked of the engine for it; docker is a script."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fakedocker import fake_docker

from devenv.backends.docker.plain import EngineImage
from devenv.builds.plan import labels_for
from devenv.control.builder import keep_equal

OLD = EngineImage("sha256:old", ("web:1", "web:2"), (), labels_for("web", "0" * 64))
NEW = EngineImage("sha256:new", ("web:1", "web:2"), (), labels_for("web", "1" * 64))
BEFORE = {"web:1": OLD, "web:2": OLD}
AFTER = {"web:1": NEW, "web:2": NEW}


def inspected(image: EngineImage, **changed: Any) -> dict[str, Any]:
    labels = dict(image.labels) | changed.pop("labels", {})
    config = {"Cmd": ["x"], "Labels": labels} | changed
    return {
        "Id": image.id,
        "RootFS": {"Layers": ["sha256:a"]},
        "Config": config,
        "Os": "linux",
        "Architecture": "amd64",
    }


def keep(folder: Path, *found: dict[str, Any], before: dict[str, EngineImage] = BEFORE, **exits: int) -> list[str]:
    """Return the calls of docker, and "kept" where the image was."""
    (folder / "inspected").write_text(json.dumps(found))
    cases = "".join(f"{verb}) exit {code} ;; " for verb, code in exits.items())
    script = f'echo "$@" >> {folder}/said; case "$1" in {cases}*) ;; esac; [ "$1" != image ] || cat {folder}/inspected'
    kept = keep_equal(("web:1", "web:2"), "web", before, AFTER, fake_docker(folder, script))
    said = folder / "said"
    return [*(said.read_text().splitlines() if said.exists() else []), *(["kept"] if kept is not None else [])]


ALL = [
    "image inspect sha256:old sha256:new",
    "tag sha256:old web:1",
    "tag sha256:old web:2",
    "rmi sha256:new",
    "kept",
]


def test_an_equal_image_gets_its_names_back_and_the_new_one_goes(tmp_path: Path) -> None:
    assert keep(tmp_path, inspected(OLD), inspected(NEW)) == ALL


def test_the_new_one_may_be_in_use_already(tmp_path: Path) -> None:
    assert keep(tmp_path, inspected(OLD), inspected(NEW), rmi=1) == ALL


@pytest.mark.parametrize(
    "changed", [{"Cmd": ["y"]}, {"labels": {"version": "2"}}, {"Env": ["A=1"]}, {"User": "1"}], ids=str
)
def test_another_configuration_is_another_image(tmp_path: Path, changed: dict[str, Any]) -> None:
    assert keep(tmp_path, inspected(OLD), inspected(NEW, **changed)) == ALL[:1]


def test_other_layers_are_another_image(tmp_path: Path) -> None:
    other = inspected(NEW) | {"RootFS": {"Layers": ["sha256:b"]}}
    assert keep(tmp_path, inspected(OLD), other) == ALL[:1]


@pytest.mark.parametrize(
    "before",
    [
        {},
        {"web:1": OLD},  # the other name had none
        {"web:1": OLD, "web:2": NEW},
        AFTER,  # BuildKit made the very same
        dict.fromkeys(BEFORE, EngineImage("sha256:old", ("web:1",), (), {})),  # built by somebody else
        dict.fromkeys(BEFORE, EngineImage("sha256:old", ("web:1",), (), labels_for("base", "0" * 64))),
    ],
)
def test_what_is_not_the_services_one_image_of_before_is_not_asked_for(
    tmp_path: Path, before: dict[str, EngineImage]
) -> None:
    assert keep(tmp_path, inspected(OLD), inspected(NEW), before=before) == []


def test_an_engine_that_forgot_the_image_leaves_what_was_built(tmp_path: Path) -> None:
    assert keep(tmp_path, inspected(NEW)) == ALL[:1]
    assert keep(tmp_path, inspected(OLD), inspected(NEW), tag=1)[-1].startswith("tag")
    assert keep(tmp_path, image=1)[-1] == ALL[0]
