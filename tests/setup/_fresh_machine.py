"""A Debian machine without Docker, as a container with an engine of its own inside, to try a clone on.

Usage: tests/setup/fresh-machine [--keep] [--only] CLONE [COMMAND...]

The machine has python3, make, git and certificates, the package sources of this one, and nothing of the project. It
runs privileged, with its own network and /var/lib/docker. The commands of README.md are followed in the clone, then
each COMMAND (`.ci/run`), or with --only these alone: in one shell with no terminal and no input, until one fails. A
table says how long each took. Docker is not in the machine until the clone puts it there. The machine is removed at
the end; --keep leaves it and says how to get in.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path

from devenv.core.errors import DevenvError
from scripts.machine.apt import acquire_settings, archives, machine_release, release_archives
from scripts.machine.base_image import BASE_IMAGE, BUNDLE
from scripts.machine.docker import image_id
from scripts.machine.process import must, run_script, say
from tests.follow import FOLLOWED, commands_of, follow, table

PACKAGES = ("python3", "make", "git", "ca-certificates")


def make_image() -> str:
    """Make the image of the bare machine, once for a Debian release and its settings, and return its name."""
    known = archives()
    codename = machine_release(known)
    name = f"localhost/devenv-fresh-machine:{BASE_IMAGE.tag(codename).rpartition(':')[2]}"
    if image_id(name):
        return name
    say(f"fresh machine: making {name}")
    files = BASE_IMAGE.recipe().files
    with tempfile.TemporaryDirectory(prefix="devenv-fresh-") as folder:
        work = Path(folder)
        work.chmod(0o755)
        (work / "pip.conf").write_bytes(files.get("/etc/pip.conf", b"[global]\n") + f"cert = {BUNDLE}\n".encode())
        (work / "bundle").write_bytes(files[BUNDLE])
        # mmdebstrap leaves these sources in the machine, so it takes packages from where this one does.
        sources = work / "debian.sources"
        sources.write_text("\n".join(each.stanza() for each in release_archives(codename, known)), encoding="utf-8")
        packer = subprocess.Popen(
            [
                "mmdebstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}",
                *(f"--aptopt={line}" for line in acquire_settings()),
                f"--customize-hook=upload {work}/pip.conf /etc/pip.conf",
                f"--customize-hook=upload {work}/bundle {BUNDLE}",
                "--format=tar", "--quiet", codename, "-", str(sources),
            ],
            stdout=subprocess.PIPE,
        )  # fmt: skip
        subprocess.run(["docker", "import", "-", name], stdin=packer.stdout, stdout=subprocess.DEVNULL, check=True)
        if packer.wait() != 0:
            subprocess.run(["docker", "image", "rm", name], check=False)
            raise DevenvError("mmdebstrap could not make the machine")
    return name


def copy_clone(clone: Path, machine: str) -> None:
    """Copy what a fresh clone of a checkout would have: everything but what git ignores."""
    listed = must(["git", "-C", str(clone), "ls-files", "-z", "--cached", "--others", "--exclude-standard"], "listing")
    names = [name for name in listed.split("\0") if name and (clone / name).exists()]
    with tempfile.NamedTemporaryFile("w", prefix="devenv-fresh-") as file:
        file.write("\0".join(names))
        file.flush()
        packed = subprocess.Popen(
            ["tar", "-C", str(clone), "--null", "--files-from", file.name, "-cf", "-"], stdout=subprocess.PIPE
        )
        unpack = ["docker", "exec", "-i", machine, "tar", "-xf", "-", "--no-same-owner", "-C", "/srv/clone"]
        subprocess.run(unpack, stdin=packed.stdout, check=True)
        if packed.wait() != 0:
            raise DevenvError(f"{clone} could not be copied")
    begin = "git init --quiet && git add --all"
    must(["docker", "exec", "--workdir", "/srv/clone", machine, "sh", "-c", begin], "making the copy a checkout")


def try_clone(clone: Path, commands: Sequence[str], *, keep: bool) -> None:
    """Run commands in a copy of a clone on a new machine; raises DevenvError when one fails."""
    machine = f"devenv-fresh-{uuid.uuid4().hex[:8]}"
    try:
        must(
            [
                *("docker", "run", "--detach", "--init", "--privileged", "--name", machine, "--hostname", "fresh"),
                *("--volume", "/var/lib/docker", make_image(), "sleep", "infinity"),
            ],
            "starting the machine",
        )
        must(["docker", "exec", machine, "mkdir", "-p", "/srv/clone"], "making a folder for the clone")
        copy_clone(clone, machine)
        shell = ("docker", "exec", "-i", "--workdir", "/srv/clone", "--env", "CI=true", machine, "bash", "-c")
        steps = follow(commands, shell)
        sys.stdout.write(table(steps) + "\n")
        if steps[-1].exit_code:
            raise DevenvError(f"{steps[-1].command} failed on the fresh machine")
    finally:
        if keep:
            say(f"fresh machine: docker exec -it -w /srv/clone {machine} bash; docker rm -fv {machine}")
        else:
            subprocess.run(["docker", "rm", "--force", "--volumes", machine], stdout=subprocess.DEVNULL, check=False)


def main(arguments: Sequence[str]) -> None:
    """Run tests/setup/fresh-machine."""
    parser = argparse.ArgumentParser(
        prog="fresh-machine", usage="tests/setup/fresh-machine [--keep] [--only] CLONE [COMMAND...]"
    )
    parser.add_argument("clone", type=Path)
    parser.add_argument("commands", nargs="*")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--only", action="store_true")
    chosen = parser.parse_args(arguments)
    page = [line for block in commands_of("README.md", FOLLOWED["README.md"]) for line in block]
    try_clone(chosen.clone.resolve(), [*([] if chosen.only else page), *chosen.commands], keep=chosen.keep)


if __name__ == "__main__":
    run_script(main)
