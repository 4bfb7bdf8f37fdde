"""Make an image with mmdebstrap from the package sources of this machine, and import it into the engine."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from devenv.core.errors import DevenvError, ToolMissing
from scripts.machine import apt
from scripts.machine.apt_policy import sources_of
from scripts.machine.apt_sources import Source
from scripts.machine.base_recipe import MERGED_PACKAGE, sources_list
from scripts.machine.docker_cli import engine_architecture, image_id
from scripts.machine.process import ask, environment, find_program, last_lines, must


@dataclass(frozen=True, slots=True)
class Debian:
    """A Debian release and where this machine gets its packages; `hint` is what to do where making an image fails."""

    codename: str
    sources: tuple[Source, ...]
    hint: str


@dataclass(frozen=True, slots=True)
class Content:
    """What an image is made of: packages, mmdebstrap's customize hooks, paths to delete, `docker import --change`s."""

    packages: tuple[str, ...]
    hooks: tuple[str, ...]
    left_out: tuple[str, ...]
    changes: tuple[str, ...]


def debian_for(codename: str, hint: str) -> Debian:
    """Return the release with this machine's sources for it, after installing mmdebstrap where it is missing.

    Raises ToolMissing without mmdebstrap or with an engine of another architecture, DevenvError without sources.
    """
    _require_mmdebstrap(hint)
    _require_same_architecture(hint)
    sources = sources_of(codename, apt.sources(), apt.releases())
    if not sources:
        raise DevenvError(f"no apt source of Debian {codename} was found in {apt.APT_FOLDER}", hint)
    return Debian(codename, tuple(sources), hint)


def make_image(debian: Debian, content: Content, tag: str, folder: Path) -> None:
    """Make an image, give it its tag and remove the image that had it before; `folder` is for temporary files.

    Raises DevenvError with mmdebstrap's last lines; a build that fails leaves no image.
    """
    image = _bootstrap(debian, content, folder)
    before = image_id(tag)
    must(["docker", "tag", image, tag], f"naming {tag}")
    if before not in ("", image):
        ask(["docker", "image", "rm", before])  # stays where a container or an image still stands on it


def image_megabytes(tag: str) -> int:
    """Return an image's size in millions of bytes."""
    return round(
        int(must(["docker", "image", "inspect", "--format", "{{.Size}}", tag], "reading an image's size")) / 1e6
    )


def _bootstrap(debian: Debian, content: Content, folder: Path) -> str:
    folder.chmod(0o755)  # apt reads the keys in it as user _apt
    listed = folder / "sources.list"
    listed.write_text(sources_list(list(debian.sources), folder), encoding="utf-8")
    log = folder / "log"
    changes = [word for change in content.changes for word in ("--change", change)]
    with log.open("w+b") as output:
        packer = subprocess.Popen(
            _mmdebstrap(debian, content, listed),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=output, env=environment({"LC_ALL": "C.UTF-8"}),
        )  # fmt: skip
        imported = subprocess.run(
            ["docker", "import", *changes, "-"], stdin=packer.stdout, capture_output=True, text=True, check=False
        )
        if packer.stdout:
            packer.stdout.close()  # an import that failed lets mmdebstrap end
        failed = packer.wait() != 0
    image = imported.stdout.strip()
    if failed and image:
        ask(["docker", "image", "rm", image])
    if imported.returncode != 0 and not failed:
        raise DevenvError(f"docker import of the image failed\n{last_lines(imported.stderr, 5)}")
    if failed:
        text = log.read_text(encoding="utf-8", errors="replace")
        raise DevenvError(f"mmdebstrap could not make the image\n{last_lines(text, 12)}", debian.hint)
    return image


def _mmdebstrap(debian: Debian, content: Content, listed: Path) -> list[str]:
    packages = [*content.packages, *([MERGED_PACKAGE] if apt.candidate(MERGED_PACKAGE) else [])]
    hooks = [*content.hooks, "rm -rf " + " ".join(f'"$1"/{name}' for name in content.left_out)]
    merged = Path("/usr/share/mmdebstrap/hooks/merged-usr")
    return [
        "mmdebstrap",
        "--format=tar",
        "--variant=essential",
        f"--include={','.join(packages)}",
        '--aptopt=Acquire::Languages "none"',
        *(f"--aptopt={line}" for line in apt.acquire_settings()),
        *([f"--hook-dir={merged}"] if merged.is_dir() else []),
        *(f"--customize-hook={hook}" for hook in hooks),
        debian.codename,
        "-",
        str(listed),
    ]


def _require_mmdebstrap(hint: str) -> None:
    if find_program("mmdebstrap"):
        return
    if not apt.can_install():
        raise ToolMissing("mmdebstrap is needed to make an image", f"sudo apt-get install mmdebstrap\n{hint}")
    apt.require_candidate("mmdebstrap")
    apt.install(["mmdebstrap"])


def _require_same_architecture(hint: str) -> None:
    ours = must(["dpkg", "--print-architecture"], "asking for this machine's architecture").strip()
    # Debian says armhf and i386 where Go says arm and 386; the two that matter have one name in both.
    theirs = engine_architecture()
    if ours != theirs and {ours, theirs} & {"amd64", "arm64"}:
        raise ToolMissing(f"the engine is {theirs}, this machine is {ours}: no image can be made for it", hint)
