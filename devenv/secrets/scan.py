"""Secrets in the text of one file: YAML (manifests, Compose, workflows), .env files, and files that hold keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from devenv.manifests import access
from devenv.manifests.credentials import committed_values, decoded, judge, masked, shape_of
from devenv.manifests.yamlread import YamlError, read_documents
from devenv.secrets.model import Leak

_FIX_SECRET = "Take it out, change the secret (it is known now), and let the cluster get it from the secret store."
_FIX_VALUE = "Take it out and change the secret: it stays in git's history. Use a file or variable that git ignores."
_ASSIGNMENT = re.compile(r"-{0,2}(?P<name>[A-Za-z_][\w.-]*)=(?P<value>.*)", re.DOTALL)
_ENV_LINE = re.compile(
    r"\s*(?:export\s+)?(?P<name>[A-Za-z_][\w.]*)\s*[=:]\s*(?P<value>\"[^\"]*\"|'[^']*'|.*?)\s*(?:\s#.*)?"
)
_DEFAULT = re.compile(r"\$\{\w+:?-(?P<value>[^{}]*)\}")  # Compose and shells: the value where the variable is not set
# In these, a name with `secret` in it names a secret, and what looks random is encrypted.
_REFERENCING = frozenset(
    {"ExternalSecret", "ClusterExternalSecret", "PushSecret", "SecretStore", "ClusterSecretStore", "SealedSecret"}
    | {"Role", "ClusterRole"}
)
_COMPOSE = "Compose"  # a file with services is one, though it has no kind
_REFERENCE = re.compile(r"[A-Za-z0-9._-]+")  # of a secret: compose-spec, 09-secrets
_PUBLIC_NAME = re.compile(
    r"ca_?bundle|cert(?:ificate)?s?$|\.crt$|digest|checksum|hash$|integrity|fingerprint", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    value: str
    line: int
    kind: str


def scan_yaml(text: str, file: str) -> Iterator[Leak]:
    """Yield the secrets in a YAML file; one that is not YAML is searched as plain text."""
    try:
        documents = read_documents(text)
    except YamlError:
        yield from scan_text(text, file)
        return
    for document in documents:
        kind = access.text(document.data, "kind") or (_COMPOSE if access.mapping(document.data, "services") else "")
        if access.mapping(document.data, "sops"):
            continue  # encrypted by SOPS, value by value
        for entry in _entries(document.node, "", kind, set()):
            yield from _judge(entry, file)
        if kind == "Secret":
            yield from _secret(document.data, document.node, file)


def scan_env(text: str, file: str) -> Iterator[Leak]:
    """Yield the secrets in a .env file."""
    for number, line in enumerate(text.splitlines(), 1):
        match = _ENV_LINE.fullmatch(line)
        if match and not line.lstrip().startswith("#"):
            value = match["value"].strip("'\"")
            yield from _judge(_Entry(match["name"], value, number, ""), file)
    yield from (leak for leak in scan_text(text, file) if leak.what == "a private key")


def scan_text(text: str, file: str) -> Iterator[Leak]:
    """Yield what has the shape of a credential in any text."""
    for number, line in enumerate(text.splitlines(), 1):
        what = shape_of(line)
        if what:
            yield Leak(file, number, "", what, masked(line.strip()), _FIX_VALUE)


def _entries(node: yaml.Node, name: str, kind: str, seen: set[int]) -> Iterator[_Entry]:
    """Yield each text of a document with the name it goes by: its key, or the `name` beside its `value`."""
    if id(node) in seen:
        return
    if isinstance(node, yaml.ScalarNode):
        if node.tag == "tag:yaml.org,2002:str" or name:
            yield _Entry(name, node.value, node.start_mark.line + 1, kind)
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        # Compose's short syntax, `secrets: [db_password]`, names secrets that are declared elsewhere.
        reference = kind == _COMPOSE and name == "secrets"
        for item in node.value:
            is_name = reference and _scalar(item) and _REFERENCE.fullmatch(item.value) is not None
            yield from _entries(item, "" if is_name else name, kind, seen)
    elif isinstance(node, yaml.MappingNode):
        named = next((value.value for key, value in node.value if _is(key, "name") and _scalar(value)), "")
        for key, value in node.value:
            own = str(key.value) if isinstance(key, yaml.ScalarNode) else ""
            yield from _entries(value, named if named and own == "value" else own, kind, seen)


def _judge(entry: _Entry, file: str) -> Iterator[Leak]:
    name, value = entry.name, entry.value
    assigned = _ASSIGNMENT.fullmatch(value) if "\n" not in value else None
    if assigned:
        name, value = assigned["name"], assigned["value"].strip("'\"")
    default = _DEFAULT.fullmatch(value.strip())
    if default:
        value = default["value"]
    if entry.kind in _REFERENCING or _PUBLIC_NAME.search(name) or "\n" in value:
        what = shape_of(value)
    elif _is_certificate(value):
        what = ""
    else:
        what = judge(name, value)
    if what:
        yield Leak(file, entry.line, name, what, masked(value), _FIX_VALUE)


def _secret(data: Any, node: yaml.Node, file: str) -> Iterator[Leak]:
    """A Secret is a leak with any value that is not plainly a placeholder, whatever its key is called."""
    for field, key, value, plain in committed_values(data):
        if not judge(key, value):  # what it sees is found as a value already
            name, line = f"{field}.{key}", _line(node, field, key)
            yield Leak(file, line, name, "a Secret's value", masked(plain), _FIX_SECRET)


def _is_certificate(value: str) -> bool:
    return decoded(value.strip()).startswith(("-----BEGIN CERTIFICATE", "-----BEGIN PUBLIC KEY"))


def _line(node: yaml.Node, *steps: str) -> int:
    line = node.start_mark.line + 1
    for step in steps:
        for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
            if _is(key, step):
                line, node = key.start_mark.line + 1, value
                break
    return line


def _is(node: yaml.Node, text: str) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.value == text


def _scalar(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode)
