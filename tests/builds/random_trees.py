"""Folders made at random: what a context may hold."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

NAMES = ("a", "b.py", "é", "x y", ".hidden", "sub", "-dash", "Z")


def random_tree(folder: Path, chance: random.Random) -> list[Path]:
    """Fill a folder and return its files, at least one; an equal state of `chance` gives an equal tree."""
    folder.mkdir()
    folders, files = [folder], [folder / "file"]
    files[0].write_bytes(b"")
    for _ in range(chance.randint(0, 25)):
        place = chance.choice(folders)
        free = [name for name in NAMES if not os.path.lexists(place / name)]
        if not free:
            continue
        path, kind = place / chance.choice(free), chance.randint(0, 19)
        if kind < 5:
            path.mkdir(mode=chance.choice((0o755, 0o700)))
            folders.append(path)
        elif kind < 7:
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
