"""What devenv takes for a build's context, and what BuildKit takes: the same paths of random trees and ignore files."""

from __future__ import annotations

import random
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from devenv.backends.docker.endpoint import Endpoint
from devenv.builds.context import read_tree
from devenv.builds.hashes import FileHashes
from devenv.builds.ignore import BadPattern, IgnoreMatcher, read_patterns

sys.path.insert(0, str(Path(__file__).parents[1] / "builds"))
from random_trees import NAMES, random_tree

pytestmark = pytest.mark.engine
PARTS = (*NAMES, "*", "**", "?", "[a-b]*", "*.py", "[^a]", "\\a", "^*", "s\\ub", ".*", "..")


def random_patterns(seed: int) -> str:
    chance = random.Random(seed)
    lines = []
    for _ in range(chance.randint(1, 6)):
        pattern = "/".join(chance.choice(PARTS) for _ in range(chance.randint(1, 3)))
        before = chance.choice(("", "", "!", "/", "! /", "**/"))
        lines.append(f"{before}{pattern}{chance.choice(('', '', '/', '/**', ' '))}")
    # Something is left out at first, so that exceptions have something to bring back.
    return "\n".join([*chance.choice(([], ["*"], ["**"], ["sub", "a"])), *lines])


@pytest.mark.parametrize("seed", range(16))
def test_the_context_is_what_buildkit_takes(engine: Endpoint, tmp_path: Path, seed: int) -> None:
    tree = tmp_path / "tree"
    random_tree(tree, random.Random(seed))
    ignore = random_patterns(seed)
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text("FROM scratch\nCOPY . /\n")
    (tmp_path / "Dockerfile.dockerignore").write_text(ignore)
    out = tmp_path / "out.tar"
    command = ["docker", "buildx", "build", "--file", str(dockerfile), "--output", f"type=tar,dest={out}", str(tree)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    try:
        matcher = IgnoreMatcher(read_patterns(ignore.encode()))
        entries = read_tree(tree, matcher, FileHashes(tree)).entries
    except BadPattern:
        assert done.returncode != 0
        return
    assert done.returncode == 0, done.stderr
    kinds = {tarfile.REGTYPE: "file", tarfile.DIRTYPE: "folder", tarfile.SYMTYPE: "link", tarfile.LNKTYPE: "file"}
    with tarfile.open(out) as built:
        members = [item for item in built if item.name not in (".", "")]
        found = {(item.name.rstrip("/"), kinds[item.type], item.linkname) for item in members if not item.isfile()}
        found |= {(item.name, "file", "") for item in members if item.isfile()}
        modes = {item.name.rstrip("/"): item.mode & 0o7777 for item in members if not item.issym()}
    assert found == {(entry.path, entry.type, entry.target) for entry in entries}, ignore
    assert modes == {entry.path: entry.mode for entry in entries if entry.type != "link"}
