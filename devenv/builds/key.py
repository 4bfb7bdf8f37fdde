"""The content key of a service's image: one hash of all that it is made from.

What goes in (`Inputs`), as canonical JSON: the schema's version; the digest of each context's tree (path, type, mode,
link target and content of all that is not ignored); the Dockerfile; the ignore file that BuildKit chooses; arguments,
target, platforms and the other options; named contexts; secrets by their ids; the digests of base images, and the keys
of the services whose images take their place. No path of this machine is in it: two equal trees have one key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from devenv.backends.docker.plain import EngineImage
from devenv.builds.context import Tree, read_tree
from devenv.builds.definition import Definition, is_fixed, is_remote, normal_image
from devenv.builds.dockerfile import image_references
from devenv.builds.graph import CONTEXT, DEPENDS_ON, IMAGE, Edge, Graph
from devenv.builds.hashes import FileHashes
from devenv.builds.ignore import IgnoreMatcher, read_patterns
from devenv.builds.store import Store
from devenv.core.errors import ProjectError
from devenv.core.text import sanitize

SCHEMA: Final = 1
MAIN: Final = ""  # the name of the context that is no named one
_SERVICE: Final = "service:"
_IMAGE: Final = "docker-image://"
_DOCKERFILE: Final = "Dockerfile"
_IGNORE: Final = ".dockerignore"


class Inputs(msgspec.Struct, frozen=True):
    """What one image is made from. `facts` are hashes or plain values by kind and name, `trees` digests by context."""

    schema: int
    facts: dict[str, dict[str, str]]
    trees: dict[str, str]

    @property
    def key(self) -> str:
        """The hash of it all."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()


class Reading(msgspec.Struct, frozen=True):
    """The inputs of one service as they are now.

    `rules` are the patterns of each context's ignore file. `unread` say what could not be read, so that nobody but
    BuildKit can tell whether the image is up to date.
    """

    inputs: Inputs
    key: str
    trees: Mapping[str, Tree]
    rules: Mapping[str, tuple[str, ...]]
    unread: tuple[str, ...] = ()


class KeyReader:
    """Reads the keys of one project's services; each folder and each Dockerfile once. `images` are the engine's."""

    def __init__(self, definitions: Mapping[str, Definition], images: Mapping[str, EngineImage], store: Store) -> None:
        self.definitions = definitions
        self.images = images
        self.store = store
        self._hashes: dict[Path, FileHashes] = {}
        self._trees: dict[tuple[Path, tuple[str, ...]], Tree] = {}
        self._dockerfiles: dict[str, bytes | None] = {}

    def graph(self, services: Mapping[str, tuple[str, ...]]) -> Graph:
        """Return the graph; `services` are all of the project that are built, with what they depend on."""
        owners = {image: name for name, one in self.definitions.items() for image in one.images}
        edges = set()
        for name, one in self.definitions.items():
            for context, value in one.contexts.items():
                if value.startswith(_SERVICE):
                    edges.add(Edge(name, value.removeprefix(_SERVICE), CONTEXT, context))
            for reference in self._references(one):
                owner = owners.get(normal_image(reference))
                if owner is not None and owner != name:
                    edges.add(Edge(name, owner, IMAGE, reference))
            edges |= {Edge(name, other, DEPENDS_ON) for other in services.get(name, ()) if other in self.definitions}
        unknown = sorted(edge for edge in edges if edge.needs not in self.definitions)
        if unknown:
            edge = unknown[0]
            raise ProjectError(
                f"additional_contexts of service {sanitize(edge.service)} names the service {sanitize(edge.needs)!r}, "
                "which is not built here",
                "Give that service a build section, or name a folder or docker-image://.",
            )
        return Graph(tuple(sorted(self.definitions)), tuple(sorted(edges)))

    def read(self, service: str, graph: Graph, keys: Mapping[str, str]) -> Reading:
        """Read one service; `keys` are those of its bases. Raises ProjectError where what is needed is not there."""
        one = self.definitions[service]
        facts: dict[str, dict[str, str]] = {
            "argument": {name: _hash(value.encode()) for name, value in one.args.items()},
            "option": dict(one.options),
            "service": {base: keys[base] for base in graph.bases(service)},
            "base image": self._base_images(one, graph),
            "named context": {},
        }
        if one.target:
            facts["target"] = {one.target: "set"}
        trees: dict[str, Tree] = {}
        rules: dict[str, tuple[str, ...]] = {}
        unread: list[str] = []
        if is_remote(one.context):
            facts["named context"][MAIN] = one.context
            if not is_fixed(one.context):
                unread.append(f"what is at {sanitize(one.context)} may have changed")
        else:
            facts["Dockerfile"] = {_name(one): _hash(self._dockerfile(one))}
            trees[MAIN] = self._context(one, MAIN, Path(one.context), _ignore_files(one), facts, rules)
        for name, value in one.contexts.items():
            if value.startswith((_SERVICE, _IMAGE)):
                facts["named context"][name] = value
            elif is_remote(value) or value.startswith("oci-layout:"):
                facts["named context"][name] = value
                if not (is_fixed(value) or "@sha256:" in value):
                    unread.append(f"what is at {sanitize(value)} may have changed")
            else:
                folder = Path(value)
                trees[name] = self._context(one, name, folder, (folder / _IGNORE,), facts, rules)
        for tree in trees.values():
            unread += [f"{sanitize(path)} cannot be read" for path in tree.unreadable[:1]]
        inputs = Inputs(SCHEMA, facts, {name: tree.digest for name, tree in trees.items()})
        return Reading(inputs, inputs.key, trees, rules, tuple(unread))

    def save(self) -> None:
        """Keep the hashes of the files for the next time; raises OSError."""
        for hashes in self._hashes.values():
            hashes.save()

    @property
    def read_files(self) -> int:
        """How many files had to be read, because they were new or may have changed."""
        return sum(hashes.read for hashes in self._hashes.values())

    def folders(self, service: str) -> tuple[str, ...]:
        """Return the folders of this machine that a service is built from."""
        one = self.definitions[service]
        named = [value for value in one.contexts.values() if not value.startswith((_SERVICE, _IMAGE, "oci-layout:"))]
        return tuple(folder for folder in (one.context, *named) if not is_remote(folder))

    def ignoring(self, service: str) -> dict[str, tuple[Path, IgnoreMatcher]]:
        """Return the folder and the ignore rules of each of a service's contexts."""
        one = self.definitions[service]
        ignored = {}
        if not is_remote(one.context):
            ignored[MAIN] = (Path(one.context), IgnoreMatcher(_choose(_ignore_files(one))[1]))
        for name, value in one.contexts.items():
            if value in self.folders(service):
                ignored[name] = (Path(value), IgnoreMatcher(_choose((Path(value) / _IGNORE,))[1]))
        return ignored

    def beside(self, service: str) -> tuple[Path, ...]:
        """Return the files that count though no context may have them: Dockerfile and ignore files."""
        one = self.definitions[service]
        own = () if is_remote(one.context) else (one.dockerfile_path, *_ignore_files(one))
        return (*own, *(folder / _IGNORE for folder, _ in self.ignoring(service).values()))

    def _references(self, one: Definition) -> tuple[str, ...]:
        """Return the images that a Dockerfile names, without those that a named context stands for."""
        if is_remote(one.context):
            references: tuple[str, ...] = ()
        else:
            content = self._dockerfile(one, required=False)
            references = image_references(content.decode("utf-8", "replace"), one.args, one.target)
        named = {normal_image(name) for name in one.contexts}
        images = [value.removeprefix(_IMAGE) for value in one.contexts.values() if value.startswith(_IMAGE)]
        return (*(item for item in references if normal_image(item) not in named), *images)

    def _base_images(self, one: Definition, graph: Graph) -> dict[str, str]:
        services = {edge.name for edge in graph.edges if edge.service == one.service and edge.kind == IMAGE}
        return {name: self._digest(name) for name in self._references(one) if name not in services}

    def _digest(self, reference: str) -> str:
        """Return what names an image's content; "" where the engine does not have it: its builder will look for it."""
        name = normal_image(reference)
        if "@" in name:
            return name.partition("@")[2]
        image = self.images.get(name)
        if image is None:
            return ""
        repository = name.rpartition(":")[0]
        own = (digest.partition("@") for digest in image.digests)
        return next((digest for found, _, digest in own if normal_image(found) == f"{repository}:latest"), image.id)

    def _dockerfile(self, one: Definition, *, required: bool = True) -> bytes:
        if one.inline is not None:
            return one.inline.encode()
        path = one.dockerfile_path
        if str(path) not in self._dockerfiles:
            self._dockerfiles[str(path)] = _read_dockerfile(path)
        content = self._dockerfiles[str(path)]
        if content is None and required:
            _require_folder(one, Path(one.context))
            raise ProjectError(
                f"Service {sanitize(one.service)} has no Dockerfile that can be read: {sanitize(str(path))}",
                "Correct build.dockerfile in the Compose file, or write the Dockerfile.",
            )
        return content or b""

    def _context(
        self,
        one: Definition,
        name: str,
        folder: Path,
        ignore_files: tuple[Path, ...],
        facts: dict[str, dict[str, str]],
        rules: dict[str, tuple[str, ...]],
    ) -> Tree:
        _require_folder(one, folder)
        chosen, patterns, content = _choose(ignore_files)
        if chosen is not None:
            facts.setdefault("ignore file", {})[f"{name}:{chosen.name}" if name else chosen.name] = _hash(content)
        rules[name] = patterns
        root = folder.resolve()
        cached = self._trees.get((root, patterns))
        if cached is None:
            hashes = self._hashes.get(root) or self._hashes.setdefault(root, FileHashes(root, self.store))
            try:
                cached = read_tree(root, IgnoreMatcher(patterns), hashes, self.store.own.resolve())
            except OSError as error:
                raise _no_folder(one, folder, error.strerror or str(error)) from error
            self._trees[root, patterns] = cached
        return cached


def _name(one: Definition) -> str:
    return "dockerfile_inline" if one.inline is not None else Path(one.dockerfile).name


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _read_dockerfile(path: Path) -> bytes | None:
    # BuildKit takes `dockerfile` where there is no `Dockerfile` (dockerui.Client.ReadEntrypoint).
    for file in (path, path.with_name(_DOCKERFILE.lower())) if path.name == _DOCKERFILE else (path,):
        try:
            return file.read_bytes()
        except OSError:
            continue
    return None


def _ignore_files(one: Definition) -> tuple[Path, ...]:
    """Return where BuildKit looks for the ignore file, in its order."""
    general = Path(one.context, _IGNORE)
    if one.inline is not None:  # it lies in a folder of its own for the build
        return (general,)
    path = one.dockerfile_path
    return (path.with_name(f"{path.name}{_IGNORE}"), general)


def _choose(files: tuple[Path, ...]) -> tuple[Path | None, tuple[str, ...], bytes]:
    for file in files:
        try:
            content = file.read_bytes()
        except OSError:
            continue
        return file, read_patterns(content), content
    return None, (), b""


def _require_folder(one: Definition, folder: Path) -> None:
    if not folder.is_dir():
        raise _no_folder(one, folder, "it is not a folder" if folder.exists() else "it is not there")


def _no_folder(one: Definition, folder: Path, why: str) -> ProjectError:
    return ProjectError(
        f"The build context {sanitize(str(folder))} of service {sanitize(one.service)} cannot be used: {why}",
        "Correct build.context or additional_contexts in the Compose file, or make the folder.",
    )
