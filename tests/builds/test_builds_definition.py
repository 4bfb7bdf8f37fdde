"""What is read out of Compose's canonical form."""

from __future__ import annotations

from typing import Any

import pytest

from devenv.builds.definition import read_definitions
from devenv.core.errors import ProjectError


def test_names_of_the_images_and_what_the_rest_is() -> None:
    build = {
        "context": "/p",
        "dockerfile_inline": "FROM x",
        "args": {"A": "1"},
        "tags": ["own:1", "docker.io/library/two"],
        "secrets": [{"source": "s", "target": "t"}, "u"],
        "no_cache": True,
    }
    services = {"one": {"build": build, "image": "own:1"}, "two": {"build": {}}, "three": {"image": "x"}, "four": None}
    found = read_definitions({"name": "p", "services": services}, {})
    assert list(found) == ["one", "two"]
    assert found["one"].images == ("own:1", "two:latest")
    assert found["one"].options == {"secrets": '[{"source":"s","target":"t"},{"source":"u"}]'}
    assert found["two"].images == ("p-two:latest",)
    named = read_definitions({"name": "p", "services": services}, {"COMPOSE_COMPATIBILITY": "true"})
    assert named["two"].images == ("p_two:latest",)


@pytest.mark.parametrize(
    "document",
    [{}, {"name": "p", "services": {"a": {"build": "."}}}, {"name": "p", "services": 1}],
)
def test_another_form_is_told(document: dict[str, Any]) -> None:
    with pytest.raises(ProjectError, match="does not understand"):
        read_definitions(document, {})
