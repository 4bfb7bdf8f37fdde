"""What a run left on the engine and on disk: found by its labels and folders, removed when its owner is dead."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from devenv.core.stored import changed_at, find
from devenv.runs.identity import KEPT, LABEL_OWNER, LABEL_RUN, LABEL_STACK, OWNER, is_dead, owner_in, runs_folder
from devenv.verify.engine import docker
from devenv.verify.own_engine import group_name, groups_of, remove_groups

TREES: Final = "trees"  # in a run's folder: the private copies of projects
# In the order in which they can be removed: a container holds all the others.
_KINDS: Final = {
    "container": (("ps", "--all", "--quiet", "--no-trunc"), ("rm", "--force", "--volumes")),
    "network": (("network", "ls", "--quiet", "--no-trunc"), ("network", "rm")),
    "volume": (("volume", "ls", "--quiet"), ("volume", "rm", "--force")),
    "image": (("images", "--all", "--quiet", "--no-trunc"), ("image", "rm", "--force")),
}


_PLURALS: Final = {"files": "folders of files", "priorityclass": "priorityclasses"}


@dataclass(frozen=True, slots=True)
class Leftover:
    """One thing of a run: `kind` is container, network, volume, image, files or cgroup; `id` is the engine's or a path.

    A cgroup is what the containers of a run's second engine were in; its id is its name, under each controller.
    """

    kind: str
    id: str
    name: str
    run: str
    owner: str
    stack: str = ""


class Named(Protocol):
    """What is reported of a leftover, on an engine or on a cluster."""

    @property
    def kind(self) -> str:
        """Container, network, namespace ..."""
        ...

    @property
    def run(self) -> str:
        """The run that made it."""
        ...


def on_engine(run: str = "", environ: Mapping[str, str] | None = None) -> list[Leftover]:
    """List what carries the labels of that run, or of any run."""
    label = f"label={LABEL_RUN}={run}" if run else f"label={LABEL_RUN}"
    left: list[Leftover] = []
    for kind, (listing, _) in _KINDS.items():
        ids = list(dict.fromkeys(docker(*listing, "--filter", label, environ=environ).split()))
        if ids:
            # Something may go between the two calls, and the others are listed all the same.
            text = docker("inspect", "--type", kind, *ids, environ=environ, check=False)
            left += _described(kind, text)
    return left


def of_dead_runs(environ: Mapping[str, str] | None = None) -> list[Leftover]:
    """List what runs left whose owner was a process of this machine that has ended: on the engine and on disk."""
    dead: dict[str, bool] = {}
    left = [
        item
        for item in on_engine(environ=environ)
        if dead.setdefault(item.owner, is_dead(item.owner))  # a look at the process for each owner, once
    ]
    folder = runs_folder()
    for path in sorted(find(folder, f"*/{OWNER}")):
        run, owner = path.parent.name, owner_in(path.parent)
        trees, group = path.parent / TREES, group_name(run)
        if not (trees.is_dir() or groups_of(group)) or not is_dead(owner):
            continue
        if trees.is_dir():
            left.append(Leftover("files", str(trees), str(trees), run, owner))
        if groups_of(group):
            left.append(Leftover("cgroup", group, group, run, owner))
    return left


def remove(items: Iterable[Leftover], environ: Mapping[str, str] | None = None) -> None:
    """Remove exactly these; what has gone by itself meanwhile is no error."""
    items = list(items)
    for kind, (_, removing) in _KINDS.items():
        ids = [item.id for item in items if item.kind == kind]
        if ids:
            docker(*removing, *ids, environ=environ, check=False)
    for item in items:
        if item.kind == "files":
            shutil.rmtree(Path(item.id), ignore_errors=True)
        elif item.kind == "cgroup":
            remove_groups(item.id)


def in_words(items: Iterable[Named]) -> str:
    """Count them by kind, and name their runs; "" for none."""
    items = list(items)
    kinds = Counter(item.kind for item in items)
    counted = [f"{count} {_PLURALS.get(kind, f'{kind}s') if count > 1 else kind}" for kind, count in kinds.items()]
    runs = list(dict.fromkeys(item.run for item in items))
    return f"{', '.join(counted)} (run {', '.join(runs)})" if items else ""


def _described(kind: str, text: str) -> Iterable[Leftover]:
    # `docker inspect` prints what it found as a JSON list, and complaints about the rest after it.
    data, _ = json.JSONDecoder().raw_decode(text)
    for item in data:
        config = item.get("Config") or {}
        labels = item.get("Labels") or config.get("Labels") or {}
        name = item.get("Name") or next(iter(item.get("RepoTags") or ()), "") or str(item.get("Id", ""))[:19]
        yield Leftover(
            kind,
            str(item.get("Id") or item.get("Name")),
            str(name).removeprefix("/"),
            str(labels.get(LABEL_RUN, "")),
            str(labels.get(LABEL_OWNER, "")),
            str(labels.get(LABEL_STACK, "")),
        )


def forget_old_runs() -> None:
    """Remove the folders of the oldest runs that have ended; the newest are kept with their evidence."""
    folder = runs_folder()
    folders = sorted(find(folder, "*/"), key=changed_at)
    for path in folders[:-KEPT]:
        if groups_of(group_name(path.name)):
            continue  # `devenv doctor --clean` knows by the folder whose they are
        owner = owner_in(path)
        if not owner or is_dead(owner):
            shutil.rmtree(path, ignore_errors=True)
