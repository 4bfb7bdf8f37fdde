"""YAML as Kubernetes reads it: no dates, no yes/no, no `=`; with the line of every node, and duplicate keys found."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from devenv.core.text import MOST_YAML, nested_too_deeply

if TYPE_CHECKING:
    from yaml import SafeLoader as _Base
else:
    _Base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is ten times as fast; a source build may lack it


class _Loader(_Base):
    """YAML 1.2's core schema, which go-yaml v3 (in kustomize) follows where it differs from PyYAML's YAML 1.1."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML fills it below, as it fills its own


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+|0o?[0-7]+", list("-+0123456789")),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan", list("-+.0123456789")),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})$"), _first)


class _Reanchoring(yaml.SafeLoader):
    """Lets an anchor be set again, as YAML 1.2 (section 3.2.2.2) and kustomize do and libyaml does not."""

    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call] # PyYAML's stubs leave it out
        anchor = getattr(event, "anchor", None)
        if anchor is not None and not self.check_event(yaml.AliasEvent):
            self.anchors.pop(anchor, None)
        return super().compose_node(parent, index)


class YamlError(Exception):
    """A text is not YAML, or (`limit`) larger than what is read. `line` counts from 1; 0: it is not known."""

    def __init__(self, message: str, line: int = 0, *, limit: bool = False) -> None:
        super().__init__(message)
        self.limit = limit
        self.message = message
        self.line = line


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: its value, and its node, which knows the lines."""

    data: Any
    node: yaml.Node


def read_documents(text: str) -> list[Document]:
    """Return the documents that are not empty; raises YamlError."""
    if len(text) > MOST_YAML:
        limit = f"it is larger than {MOST_YAML // 1_000_000} MB, the most that is read"
        raise YamlError(limit, limit=True)
    if nested_too_deeply(text):
        raise YamlError("it is nested too deeply to be a Kubernetes object")
    try:
        try:
            return _documents(_Loader(text))
        except yaml.composer.ComposerError as error:
            if "duplicate anchor" not in str(error):
                raise
            return _documents(_Reanchoring(text))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = " ".join(part for part in (error.context, error.problem) if part)
        raise YamlError(said, mark.line + 1 if mark else 0) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date or number that is none
        raise YamlError(str(error)) from error


def read_inline(text: str) -> list[Document]:
    """Return the documents of a text inside a kustomization; none where it is not YAML, which kustomize then says."""
    try:
        return read_documents(text)
    except YamlError:
        return []


def _documents(loader: Any) -> list[Document]:
    documents = []
    while loader.check_node():
        node = loader.get_node()
        data = loader.construct_document(node)
        if data is not None and node is not None:
            documents.append(Document(data, node))
    return documents


def duplicate_keys(node: yaml.Node) -> Iterator[tuple[str, int, int]]:
    """Yield key, line and first line of every key that a mapping has twice (YAML 1.2, section 3.2.1.1, forbids it)."""
    pending, seen = [node], {id(node)}
    while pending:
        current = pending.pop()
        children: list[yaml.Node] = []
        if isinstance(current, yaml.MappingNode):
            first: dict[str, int] = {}
            for key, value in current.value:
                line = key.start_mark.line + 1
                if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                    if key.value in first:
                        yield key.value, line, first[key.value]
                    first.setdefault(key.value, line)
                children.append(value)
        elif isinstance(current, yaml.SequenceNode):
            children = current.value
        for child in children:
            if not isinstance(child, yaml.ScalarNode) and id(child) not in seen:
                seen.add(id(child))
                pending.append(child)


def child_node(node: yaml.Node | None, step: str | int) -> tuple[yaml.Node | None, int]:
    """Return the node under a key or an index, and the line it begins at; None where there is none."""
    if isinstance(node, yaml.MappingNode) and isinstance(step, str):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value == step:
                return value, key.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and 0 <= step < len(node.value):
        return node.value[step], node.value[step].start_mark.line + 1
    return None, 0
