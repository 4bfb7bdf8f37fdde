"""Hostile input: no crash, no escape sequence, no markup that a table or a viewer would act on, no secret shown."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from devenv.manifests import access
from devenv.manifests.check import Outside, check, judge, to_data, to_sarif, to_text
from devenv.manifests.model import Manifest
from devenv.manifests.registry import all_rules
from devenv.manifests.rendering import Rendering
from devenv.manifests.schemas import choose_versions
from devenv.manifests.targets import Target
from devenv.manifests.yamlread import YamlError, read_documents

EVIL = "\x1b]52;c;aGk=\x07\x1b[31m[/foo]‮\u0085\r\n|`<script>"
EVIL_KEY = EVIL.replace("\u0085", "")  # kustomize itself cannot read a key with it back
JUNK: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1.5,
    "",
    "x",
    EVIL,
    [],
    [None],
    ["x"],
    {},
    {"": None},
    [[{}]],
    {"a": {"b": []}},
)


def every_place(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from every_place(item, (*path, key))


def test_no_rule_crashes_whatever_stands_anywhere(rendering_of: Callable[[str], Rendering], outside: Outside) -> None:
    """Each place of each object, with junk chosen by a fixed seed; the schema rule tells what is wrong."""
    chance = random.Random(5)
    rendering = rendering_of("production")
    objects = enumerate(manifest.data for manifest in rendering.manifests)
    places = [(index, path) for index, data in objects for path in every_place(data)]
    chance.shuffle(places)
    for number in range(0, len(places), 12):  # a dozen places at once: the crash would name its rule all the same
        spoilt = [copy.deepcopy(dict(manifest.data)) for manifest in rendering.manifests]
        for index, path in places[number : number + 12]:
            spoil(spoilt[index], path, copy.deepcopy(chance.choice(JUNK)))
        broken = Rendering(
            tuple(Manifest(item) for item in spoilt),
            rendering.environment,
            rendering.name,
            rendering.versions[-1:],
            rendering.tree,
            rendering.settings,
            rendering.compose,
        )
        for finding in judge(broken, outside.root).findings:
            assert finding.message.isprintable(), finding.rule


@pytest.mark.parametrize("junk", [[], {}], ids=repr)
def test_no_rule_crashes_where_a_name_or_a_number_is_to_be(
    junk: object, rendering_of: Callable[[str], Rendering], outside: Outside
) -> None:
    """Every text and number of every object, a dozen at once: what a set or a table is asked for may be no text."""
    rendering = rendering_of("production")
    places = [
        (index, path)
        for index, manifest in enumerate(rendering.manifests)
        for path in every_place(manifest.data)
        if not isinstance(access.get(manifest.data, *path), dict | list)
    ]
    for number in range(0, len(places), 12):
        spoilt = [copy.deepcopy(dict(manifest.data)) for manifest in rendering.manifests]
        for index, path in places[number : number + 12]:
            spoil(spoilt[index], path, junk)
        judge(replace(rendering, manifests=tuple(map(Manifest, spoilt)), versions=()), outside.root)


def spoil(data: Any, path: tuple[Any, ...], junk: Any) -> None:
    for step in path[:-1]:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return  # another of the dozen has taken it away
    if isinstance(data, dict) or (isinstance(data, list) and isinstance(path[-1], int) and path[-1] < len(data)):
        data[path[-1]] = junk


def test_outside_text_is_harmless_in_every_output(tmp_path: Path) -> None:
    manifest = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": EVIL,
            "annotations": {f"devenv.io/ignore.{EVIL_KEY}": "x", "devenv.io/ignore.port-name": EVIL},
        },
        "spec": {"selector": {"a": EVIL}, EVIL_KEY: EVIL, "type": EVIL, "ports": [{"port": 1, "targetPort": EVIL}]},
    }
    (tmp_path / "evil.yaml").write_text(yaml.safe_dump(manifest), "utf-8")
    (tmp_path / "kustomization.yaml").write_text("resources: [evil.yaml]\n", "utf-8")
    report = check([Target(EVIL, tmp_path)], choose_versions(()), Outside(tmp_path))
    assert {"service-dangling", "unknown-field", "service-type", "exception-unknown"} <= {
        finding.rule for finding in report.findings
    }
    for line in to_text(report):
        assert line.isprintable(), line
    for text in (json.dumps(to_data(report)), json.dumps(to_sarif(report, all_rules(), "1"))):
        assert "\u001b" not in text
        assert "\u202e" not in text


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "- " * 20_000,
        "{a: " * 5_000,
        "a: &a [*a, *a]\nb: [" + "[" * 2_000,
        "\x00",
        "a: !!python/object/apply:os.system [id]\n",
        "? [a]\n: b\n",
        "a: *nowhere\n",
        "%TAG ! tag:evil,2000:\n",
        "a: !!timestamp 2020-99-99\n",
    ],
)
def test_hostile_yaml_is_an_error_with_a_reason(text: str) -> None:
    with pytest.raises(YamlError) as caught:
        read_documents(text)
    assert caught.value.message


def test_yaml_is_read_as_kubernetes_reads_it() -> None:
    (document,) = read_documents("a: yes\nb: 2020-01-01\nc: 12:30\nd: =\ne: 0x10\nf: 1_000\ng: ~\nh: 1e3\ni: 08\n")
    assert document.data == {
        "a": "yes", "b": "2020-01-01", "c": "12:30", "d": "=", "e": 16, "f": "1_000", "g": None, "h": 1000.0, "i": 8.0,
    }  # fmt: skip


def test_a_wrong_kustomization_is_a_finding_not_a_crash(tmp_path: Path) -> None:
    for number, text in enumerate(
        ["5\n", "[a]\n", "resources: 5\n", "resources: [5, [], {}]\n", "\n", "images: [x]\n"]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "kustomization.yaml").write_text(text, "utf-8")
        (target,) = check([Target("x", folder)], choose_versions(()), Outside(tmp_path)).targets
        assert {finding.rule for finding in target.findings} == {"render-failed"}, text


def test_a_schema_finding_never_repeats_the_value(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {k: [hunter2]}\nstringData: hunter2\n", "utf-8"
    )
    (tmp_path / "kustomization.yaml").write_text("resources: [s.yaml]\n", "utf-8")
    report = check([Target("x", tmp_path)], choose_versions(()), Outside(tmp_path))
    assert report.findings
    assert "hunter2" not in json.dumps(to_data(report))
