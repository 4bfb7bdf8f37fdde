"""Edit an object in the user's editor: validated before it is sent, refused when it changed meanwhile, nothing lost."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import Conflict, Invalid, KubeError
from devenv.control.kube.difference import diff_lines, to_yaml
from devenv.control.kube.refs import Ref
from devenv.control.kube.sources import parse_objects
from devenv.core.errors import DevenvError, ToolMissing, UsageError
from devenv.core.text import sanitize

MANAGER = "devenv-edit"
_HEAD = """# {title} of context {context}. Lines that begin with # are dropped; an empty file changes nothing.
# Status and managedFields are left out, and cannot be edited.
"""
_IDENTITY = ("apiVersion", "kind")


@dataclass(frozen=True, slots=True)
class Edited:
    """What the user wants: the whole object, and the diff to the one that was read. No diff: nothing changed."""

    ref: Ref
    file: Path
    after: Mapping[str, Any]
    diff: tuple[str, ...]


def write_for_editing(client: KubeClient, ref: Ref) -> tuple[Path, dict[str, Any]]:
    """Write the object into a file of its own (mode 0600) and return both; raises KubeError."""
    item = ref.read(client)
    head = _HEAD.format(title=ref.target, context=sanitize(client.target.context.name))
    handle, name = tempfile.mkstemp(prefix=f"devenv-{ref.kind.name.lower()}-{ref.name}-", suffix=".yaml")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(head + "\n".join(to_yaml(_editable(item))) + "\n")
    return Path(name), item


def open_editor(file: Path, environ: Mapping[str, str]) -> None:
    """Open the file in KUBE_EDITOR, VISUAL, EDITOR or vi, and wait. Raises ToolMissing, DevenvError."""
    chosen = next((environ[name] for name in ("KUBE_EDITOR", "VISUAL", "EDITOR") if environ.get(name)), "vi")
    try:
        code = subprocess.run([*shlex.split(chosen), str(file)], env=dict(environ), check=False).returncode
    except (OSError, ValueError) as error:
        hint = f"Set EDITOR. The text is in {file}"
        raise ToolMissing(f"The editor {sanitize(chosen)} could not be started: {error}", hint) from error
    if code:
        raise DevenvError(f"The editor ended with exit code {code}", f"Nothing was changed; your text is in {file}")


def read_back(client: KubeClient, ref: Ref, file: Path, before: Mapping[str, Any]) -> Edited:
    """Read the file and let the server try it, without changing anything.

    Raises UsageError and KubeError; each names the file, which stays.
    """
    try:
        found = parse_objects(file.read_text(encoding="utf-8"), str(file))
        if not found:
            return Edited(ref, file, before, ())
        after = _checked(found, before)
        diff = diff_lines(_editable(before), _editable(after))
        if diff:
            tried = _send(client, ref, after, dry_run=True)
            diff = diff_lines(before, tried)
        return Edited(ref, file, after, diff)
    except DevenvError as error:
        error.hint = f"{_hint(error)} Your text is kept in {file}".strip()
        raise


def save(client: KubeClient, edited: Edited) -> None:
    """Replace the object; raises Conflict where somebody changed it meanwhile, and other KubeErrors. The file stays."""
    try:
        _send(client, edited.ref, edited.after, dry_run=False)
    except KubeError as error:
        error.hint = f"{_hint(error)} Your text is kept in {edited.file}".strip()
        raise


def edit(
    client: KubeClient,
    ref: Ref,
    environ: Mapping[str, str],
    ask_again: Callable[[DevenvError], bool],
) -> Edited:
    """Let the user edit until the server takes it, or `ask_again` says no: then the error is raised."""
    file, before = write_for_editing(client, ref)
    while True:
        open_editor(file, environ)
        try:
            return read_back(client, ref, file, before)
        except (UsageError, KubeError) as error:
            if not ask_again(error):
                raise


def _send(client: KubeClient, ref: Ref, after: Mapping[str, Any], *, dry_run: bool) -> dict[str, Any]:
    query = {"fieldManager": MANAGER, "fieldValidation": "Strict"}
    if dry_run:
        query["dryRun"] = "All"
    sent: dict[str, Any] = client.request("PUT", ref.path(), query=query, body=dict(after))
    return sent


def _editable(item: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {key: value for key, value in item["metadata"].items() if key != "managedFields"}
    found = {key: value for key, value in item.items() if key not in ("metadata", "status")}
    first = {key: found.pop(key) for key in _IDENTITY if key in found}
    return {**first, "metadata": metadata, **found}


def _checked(found: list[dict[str, Any]], before: Mapping[str, Any]) -> dict[str, Any]:
    if len(found) > 1:
        raise UsageError("The file holds more than one object", "Leave exactly one.")
    after = found[0]
    metadata = after.get("metadata")
    if not isinstance(metadata, dict):
        raise UsageError("The object has no metadata any more", "Put it back.")
    same = [(name, before.get(name), after.get(name)) for name in _IDENTITY]
    same += [(name, before["metadata"].get(name), metadata.get(name)) for name in ("name", "namespace")]
    for name, old, new in same:
        if old != new:
            raise UsageError(f"{name} was changed from {sanitize(str(old))} to {sanitize(str(new))}", "Put it back.")
    # What the object was when it was opened: the server refuses to overwrite a change of somebody else.
    kept = {**metadata, "resourceVersion": before["metadata"].get("resourceVersion")}
    return {**after, "metadata": kept, **({"status": before["status"]} if "status" in before else {})}


def _hint(error: DevenvError) -> str:
    if isinstance(error, Conflict):
        return "Somebody changed the object meanwhile: edit it anew."
    if isinstance(error, Invalid) and error.causes:
        return "; ".join(f"{field}: {message}" for field, message in error.causes[:5]) + "."
    return error.hint
