"""Folders made at random from a seed, and changed at random: what a context may hold, and what may happen to it."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

NAMES = ("a", "b.py", "é", "x y", ".hidden", "sub", "-dash", "Z")


def random_tree(folder: Path, seed: int) -> list[Path]:
    """Fill a folder and return its files, at least three; equal seeds give equal trees."""
    chance = random.Random(seed)
    folder.mkdir()
    folders, files = [folder], []
    while len(files) < 3 or chance.random() < 0.9:
        path = chance.choice(folders) / chance.choice(NAMES)
        if path.exists() or path.is_symlink():
            if len(folders) > 30:
                break
            continue
        kind = chance.random()
        if kind < 0.25:
            path.mkdir(mode=chance.choice((0o755, 0o700)))
            folders.append(path)
        elif kind < 0.35:
            path.symlink_to(chance.choice(("a", "../b.py", "/nowhere")))
        else:
            path.write_bytes(chance.randbytes(chance.randint(0, 50)))
            path.chmod(chance.choice((0o644, 0o755)))
            files.append(path)
    return files


def copy_elsewhere(tree: Path, target: Path) -> None:
    """Copy a tree in another order and with other times, as another machine would have it."""
    target.mkdir()
    for item in sorted(tree.iterdir(), reverse=True):
        goal = target / item.name
        if item.is_symlink():
            goal.symlink_to(item.readlink())
        elif item.is_dir():
            copy_elsewhere(item, goal)
            goal.chmod(item.stat().st_mode)
        else:
            shutil.copyfile(item, goal)
            goal.chmod(item.stat().st_mode)
            os.utime(goal, (1, 1))
