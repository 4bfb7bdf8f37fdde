"""Secrets: committed ones found, in files and images, and never shown; and the ones that an overlay needs listed."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from devenv.backends.programs import finish
from devenv.core.errors import DevenvError, UsageError
from devenv.core.text import sanitize
from devenv.manifests import access
from devenv.manifests.check import shown
from devenv.manifests.credentials import committed_values, decoded, judge, masked, shape_of
from devenv.manifests.model import Manifest
from devenv.manifests.rendering import Rendering, same_namespace
from devenv.manifests.yamlread import YamlError, read_documents


@dataclass(frozen=True, slots=True)
class Leak:
    """One secret where it should not be, never with its value. `file` is a path, or an image."""

    file: str
    line: int
    name: str
    what: str
    shown: str
    fix: str


@dataclass(frozen=True, slots=True)
class SecretsReport:
    """One search. `files` and `images` say how much was looked at."""

    leaks: tuple[Leak, ...]
    files: int
    images: int
    unchecked: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """passed, failed or inconclusive."""
        if self.leaks:
            return "failed"
        return "inconclusive" if self.unchecked else "passed"


@dataclass(frozen=True, slots=True)
class Need:
    """One Secret that a rendering needs."""

    overlay: str
    namespace: str
    secret: str
    keys: tuple[str, ...]
    used_by: tuple[str, ...]
    optional: bool
    provided_by: str  # empty: nothing that was asked knows it


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


_DOCKER_ANSWERS = 30.0  # seconds at most
_FIX_IMAGE = "Build without it: RUN --mount=type=secret for builds, a mounted file at run time. Then change the secret."
_ARGUMENT = re.compile(r"(?P<name>[A-Za-z_]\w*)=(?P<value>\"[^\"]*\"|'[^']*'|[^\s;&|]+)")


class ImageError(DevenvError):
    """An image could not be looked into; says why."""


def scan_image(image: str, environ: Mapping[str, str] | None = None) -> Iterator[Leak]:
    """Yield the secrets in a local image. Raises ImageError where there is no engine, image or answer in time."""
    described = json.loads(_docker(["docker", "image", "inspect", image], environ))
    config = access.mapping(described, 0, "Config")
    pairs = [entry.partition("=")[::2] for entry in access.sequence(config, "Env") if isinstance(entry, str)]
    pairs += [(key, str(value)) for key, value in access.mapping(config, "Labels").items()]
    for name, value in pairs:
        yield from _leak_of(f"{image} (environment or label)", name, value)
    history = _docker(["docker", "history", "--no-trunc", "--format", "{{json .CreatedBy}}", image], environ)
    for line in history.decode("utf-8", "replace").splitlines():
        for match in _ARGUMENT.finditer(str(json.loads(line))):
            yield from _leak_of(f"{image} (history)", match["name"], match["value"].strip("'\""))


def _leak_of(where: str, name: str, value: str) -> Iterator[Leak]:
    # Digests, keys to verify packages with and versions fill an image's environment: chance alone proves nothing here.
    what = judge(name, value)
    if what and what != "a random value":
        yield Leak(sanitize(where), 0, sanitize(name), what, masked(value), _FIX_IMAGE)


def _docker(command: list[str], environ: Mapping[str, str] | None) -> bytes:
    try:
        done = finish(command, environ, timeout=_DOCKER_ANSWERS)
    except DevenvError as error:
        raise ImageError(f"docker gave no answer: {error.message}") from error
    if done.returncode != 0:
        raise ImageError(sanitize(done.stderr.decode("utf-8", "replace").strip()) or "docker failed without a word")
    return done.stdout


_MOST_BYTES = 1_000_000  # a file of settings is smaller; a larger one is data
_ENV_FILE = re.compile(r"(?:.*[._-])?env(?:[._-].*)?|.*\.env", re.IGNORECASE)
_KEY_FILE = re.compile(
    r".*\.(?:pem|key|p12|pfx|jks|kdbx|kubeconfig|tfvars)|id_(?:rsa|dsa|ecdsa|ed25519)"
    r"|\.(?:npmrc|pypirc|netrc|pgpass|git-credentials|dockerconfigjson|dockercfg)|kubeconfig|credentials",
    re.IGNORECASE,
)
_SKIPPED_FOLDERS = {"node_modules", "__pycache__", "venv"}

Scan = Callable[[str, str], Iterator[Leak]]


def search(
    paths: Sequence[Path],
    images: Sequence[str],
    root: Path,
    unchecked: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
) -> SecretsReport:
    """Search files and local images; raises UsageError for a path that is not there."""
    files, notes = find_files(paths)
    leaks: list[Leak] = []
    skipped = [*unchecked]
    for file in files:
        in_file, reason = scan_file(file, shown(file, root))
        leaks += in_file
        if reason:
            skipped.append(reason)
    looked_into = 0
    for image in images:
        try:
            leaks += scan_image(image, environ)
            looked_into += 1
        except ImageError as error:
            skipped.append(f"image {image} was not checked: {error.message}")
    return SecretsReport(tuple(dict.fromkeys(leaks)), len(files), looked_into, tuple(dict.fromkeys(skipped)), notes)


def find_files(paths: Sequence[Path]) -> tuple[list[Path], tuple[str, ...]]:
    """Return the files to search below the paths, and a note where git does not say which are committed.

    A file that is named is always searched. Raises UsageError for a path that is not there.
    """
    files: list[Path] = []
    notes: list[str] = []
    for path in paths:
        if path.is_file():
            files.append(path)
        elif path.is_dir():
            tracked = _tracked(path)
            if tracked is None:
                notes.append(f"{path} is in no git repository: every file below it was searched")
                tracked = list(_walk(path))
            files += [file for file in tracked if scanner_for(file) is not None]
        else:
            raise UsageError(f"{path} does not exist", "Name a file or a folder.")
    return list(dict.fromkeys(files)), tuple(notes)


def scanner_for(file: Path) -> Scan | None:
    """Return how a file is searched, None for a kind that holds no settings."""
    if file.suffix.lower() in (".yaml", ".yml") or file.name == "Kustomization":
        return scan_yaml
    if _ENV_FILE.fullmatch(file.name) and file.suffix not in (".py", ".js", ".ts", ".md"):
        return scan_env
    return scan_text if _KEY_FILE.fullmatch(file.name) else None


def scan_file(file: Path, shown: str) -> tuple[list[Leak], str]:
    """Search one file; the second value says why it could not be searched, empty where it could."""
    try:
        if file.stat().st_size > _MOST_BYTES:
            return [], f"{shown} is larger than {_MOST_BYTES // 1_000_000} MB"
        text = file.read_bytes().decode("utf-8", "replace")
    except OSError as error:
        return [], f"{shown} cannot be read: {error.strerror}"
    scan = scanner_for(file) or scan_text
    return list(dict.fromkeys(scan(text, shown))), ""


def _tracked(folder: Path) -> list[Path] | None:
    """Ask git for the files that are or would be committed; None where there is no git or no repository."""
    # Untracked files that are not ignored are one `git add .` away from being committed.
    command = ["git", "-C", str(folder), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = finish(command, timeout=60)
    except DevenvError:
        return None
    if done.returncode != 0:
        return None
    names = (os.fsdecode(name) for name in done.stdout.split(b"\0") if name)
    return [folder / name for name in sorted(names) if (folder / name).is_file()]


def _walk(folder: Path) -> Iterator[Path]:
    for here, children, names in os.walk(folder):
        children[:] = sorted(name for name in children if name != ".git" and name not in _SKIPPED_FOLDERS)
        yield from (Path(here) / name for name in sorted(names))


# Custom resources that make a Secret: kind -> where its name stands (without one, the object's own name).
_MAKERS: dict[tuple[str, str], tuple[str, ...]] = {
    ("external-secrets.io", "ExternalSecret"): ("spec", "target", "name"),
    ("bitnami.com", "SealedSecret"): ("spec", "template", "metadata", "name"),
    ("cert-manager.io", "Certificate"): ("spec", "secretName"),
}


def needed_secrets(rendering: Rendering) -> list[Need]:
    """Return the Secrets that the rendering's objects name, each once, with everything that uses it."""
    uses = access.grouped(((use[0], use[1]), use[2:]) for use in _references(rendering))
    return [
        Need(
            overlay=rendering.name,
            namespace=namespace,
            secret=name,
            keys=tuple(sorted({key for key, _, _ in of_secret if key})),
            used_by=tuple(dict.fromkeys(used_by for _, used_by, _ in of_secret)),
            optional=all(optional for _, _, optional in of_secret),
            provided_by=_provider(rendering, namespace, name),
        )
        for (namespace, name), of_secret in sorted(uses.items())
    ]


def _provider(rendering: Rendering, namespace: str, name: str) -> str:
    """Say what in the rendering brings the Secret, or orders it from an operator; empty where nothing does."""
    secret = rendering.find("", "Secret", namespace, name)
    if secret is not None:
        return "secretGenerator" if rendering.provenance.generated(secret) else "a Secret in the manifests"
    for (group, kind), path in _MAKERS.items():
        for maker in rendering.of(group, kind):
            made = access.text(maker.data, *path) or maker.name
            if made == name and same_namespace(maker.namespace, namespace):
                return maker.title
    return ""


def _references(rendering: Rendering) -> Iterator[tuple[str, str, str, str, bool]]:
    """Yield namespace, Secret, key (empty: all of it), user, and whether the user can do without."""
    for workload in rendering.workloads:
        manifest = workload.manifest
        for place in workload.references("Secret"):
            for key in (place.items or (place.key,)) if place.name else ():
                yield manifest.namespace, place.name, key, manifest.title, place.optional
        for _, item in access.mappings(workload.pod, "imagePullSecrets"):
            yield manifest.namespace, access.text(item, "name"), ".dockerconfigjson", manifest.title, False
    for account in rendering.of("", "ServiceAccount"):
        for _, item in access.mappings(account.data, "imagePullSecrets"):
            yield account.namespace, access.text(item, "name"), ".dockerconfigjson", account.title, False
    for ingress in rendering.of("networking.k8s.io", "Ingress"):
        yield from _of_tls(ingress)


def _of_tls(ingress: Manifest) -> Iterator[tuple[str, str, str, str, bool]]:
    for _, tls in access.mappings(ingress.data, "spec", "tls"):
        name = access.text(tls, "secretName")
        for key in ("tls.crt", "tls.key") if name else ():
            yield ingress.namespace, name, key, ingress.title, False
