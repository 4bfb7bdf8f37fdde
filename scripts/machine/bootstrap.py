"""Make an image with mmdebstrap from the suites that this machine itself is made of, and give it to the engine."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from devenv.core.errors import DevenvError, ToolMissing
from scripts.machine import apt, system
from scripts.machine.docker import image_id
from scripts.machine.process import ask, environment, find_program, last_lines, must

# Instead of usrmerge, which would bring all of perl with it (47 MB).
MERGED_PACKAGE = "usr-is-merged"
# Deleted at the end: leaving it out with dpkg's path-exclude makes mmdebstrap filter every package in perl, 6 s more.
LEFT_OUT = (
    "usr/share/doc/*", "usr/share/man/*", "usr/share/locale/*", "usr/share/info/*", "usr/share/lintian/*",
    "usr/share/bash-completion", "usr/share/bug", "usr/lib/*/gconv", "var/cache/debconf/*-old", "var/log/*",
    "etc/resolv.conf", "etc/hostname", "etc/machine-id",
    "etc/apt/sources.list.d/*",  # without apt of no use, and a mirror's address may have a password in it
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recipe:
    """What an image is made of, apart from the Debian release; where the packages come from is not part of it.

    `files` are contents by their path in the image, `hooks` are mmdebstrap's customize hooks, `changes` are Dockerfile
    instructions for `docker import`, and `check` is a command that has to end well in the image.
    """

    packages: tuple[str, ...]
    changes: tuple[str, ...]
    check: tuple[str, ...]
    hooks: tuple[str, ...] = ()
    left_out: tuple[str, ...] = LEFT_OUT
    files: Mapping[str, bytes] = field(default_factory=dict)

    def digest(self, codename: str) -> str:
        """Return a hash of everything that decides what the image is."""
        files = sorted(self.files.items())
        parts = [codename, self.packages, self.changes, self.hooks, self.left_out, [path for path, _ in files]]
        content = json.dumps(parts).encode() + b"".join(data for _, data in files)
        return hashlib.sha256(content).hexdigest()[:12]


def make_image(recipe: Recipe, tag: str, codename: str, sources: Sequence[apt.Archive], hint: str) -> None:
    """Make an image, give it its tag and remove the image that had it before; one that fails leaves no image.

    Raises ToolMissing without mmdebstrap or with an engine of another architecture, DevenvError when the build fails.
    """
    _require_mmdebstrap(hint)
    made = _bootstrap(recipe, codename, sources, hint)
    done = ask(["docker", "run", "--rm", "--network=none", "--read-only", made, *recipe.check])
    if done.returncode != 0:
        ask(["docker", "image", "rm", made])
        raise DevenvError(f"the image that was made does not run\n{last_lines(done.stderr, 5)}", hint)
    before = image_id(tag)
    must(["docker", "tag", made, tag], f"naming {tag}")
    if before not in ("", made):
        ask(["docker", "image", "rm", before])  # stays where a container or an image still stands on it


def _require_mmdebstrap(hint: str) -> None:
    ours = must(["dpkg", "--print-architecture"], "asking for this machine's architecture").strip()
    # Debian says armhf and i386 where Go says arm and 386; the two that matter have one name in both.
    theirs = ask(["docker", "version", "--format", "{{.Server.Arch}}"]).stdout.strip()
    if ours != theirs and {ours, theirs} & {"amd64", "arm64"}:
        raise ToolMissing(f"the engine is {theirs}, this machine is {ours}: no image can be made for it", hint)
    if not find_program("mmdebstrap"):
        if not system.can_install():
            raise ToolMissing("mmdebstrap is needed to make an image", f"sudo apt-get install mmdebstrap\n{hint}")
        apt.install("mmdebstrap")


def _bootstrap(recipe: Recipe, codename: str, sources: Sequence[apt.Archive], hint: str) -> str:
    """Make the image without a name and return its id."""
    with tempfile.TemporaryDirectory(prefix="devenv-image-") as name, tempfile.TemporaryFile() as log:
        folder = Path(name)
        folder.chmod(0o755)  # apt reads the sources as user _apt
        (folder / "debian.sources").write_text("\n".join(each.stanza() for each in sources), encoding="utf-8")
        packer = subprocess.Popen(
            _mmdebstrap(recipe, codename, folder),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=environment({"LC_ALL": "C.UTF-8"}),
        )  # fmt: skip
        changes = [word for change in recipe.changes for word in ("--change", change)]
        imported = subprocess.run(
            ["docker", "import", *changes, "-"], stdin=packer.stdout, capture_output=True, text=True, check=False
        )
        if packer.stdout:
            packer.stdout.close()  # an import that failed lets mmdebstrap end
        failed = packer.wait() != 0
        log.seek(0)
        words = log.read().decode(errors="replace")
    made = imported.stdout.strip()
    if failed or imported.returncode != 0:
        if made:
            ask(["docker", "image", "rm", made])
        raise DevenvError(f"mmdebstrap could not make the image\n{last_lines(words + imported.stderr)}", hint)
    return made


def _mmdebstrap(recipe: Recipe, codename: str, folder: Path) -> list[str]:
    hooks = []
    for number, (path, content) in enumerate(recipe.files.items()):
        (folder / str(number)).write_bytes(content)
        hooks += [f'mkdir -p "$1{Path(path).parent}"', f'upload "{folder / str(number)}" "{path}"']
    hooks += [*recipe.hooks, "rm -rf " + " ".join(f'"$1"/{name}' for name in recipe.left_out)]
    return [
        "mmdebstrap", "--format=tar", "--variant=essential",
        f"--include={','.join((*recipe.packages, MERGED_PACKAGE))}",
        '--aptopt=Acquire::Languages "none"', *(f"--aptopt={line}" for line in apt.acquire_settings()),
        "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr", *(f"--customize-hook={hook}" for hook in hooks),
        codename, "-", str(folder / "debian.sources"),
    ]  # fmt: skip
