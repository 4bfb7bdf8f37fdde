"""Which image Compose gets for one of its variables: the user's, the default one, or one made here from packages.

An image is made with mmdebstrap from the suites that this machine itself is made of, and only where the default one
could neither be found nor pulled; its name then goes to compose/.env, so that every later build uses it.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from devenv.core.errors import DevenvError, ToolMissing
from scripts.machine import apt, archives, system
from scripts.machine.docker import image_id, pull
from scripts.machine.dotenv import read_variable, write_variable
from scripts.machine.process import ROOT, ask, environment, find_program, last_lines, must, say

ENV_FILE = ROOT / "compose" / ".env"
# Instead of usrmerge, which would bring all of perl with it (47 MB).
MERGED_PACKAGE = "usr-is-merged"
# Deleted at the end: leaving it out with dpkg's path-exclude makes mmdebstrap filter every package in perl, 6 s more.
LEFT_OUT = (
    "usr/share/doc/*", "usr/share/man/*", "usr/share/locale/*", "usr/share/info/*", "usr/share/lintian/*",
    "usr/share/bash-completion", "usr/share/bug", "usr/lib/*/gconv", "var/cache/debconf/*-old", "var/log/*",
    "etc/resolv.conf", "etc/hostname", "etc/machine-id",
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


@dataclass(frozen=True, slots=True)
class Image:
    """An image that Compose asks for by a variable; `what` is what an image of the user's own would have to be."""

    name: str
    variable: str
    default: str  # that of ${VARIABLE:-...} in compose/
    repository: str
    comment: str
    what: str
    recipe: Callable[[], Recipe]

    @property
    def hint(self) -> str:
        """What to do where no image can be had."""
        return f"set {self.variable} in compose/.env to {self.what} that this engine has or can pull"

    def is_ours(self, name: str) -> bool:
        """Whether an image's name is one that `tag` gave."""
        return name.startswith(f"{self.repository}:")

    def tag(self, codename: str) -> str:
        """Return the name of the image made here: the Debian release and a hash of the recipe."""
        recipe = self.recipe()
        parts = [codename, recipe.packages, recipe.changes, recipe.hooks, recipe.left_out, sorted(recipe.files)]
        content = json.dumps(parts).encode() + b"".join(data for _, data in sorted(recipe.files.items()))
        return f"{self.repository}:{codename}-{hashlib.sha256(content).hexdigest()[:12]}"

    def say(self, text: str) -> None:
        """Tell the user what happens with this image."""
        say(f"{self.name}: {text}")


def choose_image(image: Image, env_file: Path = ENV_FILE, *, rebuild: bool = False) -> str:
    """Return the name of an image that the engine has; pulls or makes it where it has to.

    Raises DevenvError where the user's own choice cannot be had, or nothing can be pulled or made.
    """
    written = read_variable(env_file, image.variable)
    if chosen := os.environ.get(image.variable, ""):
        return _users_choice(image, chosen, "the environment")
    if written and not image.is_ours(written):
        return _users_choice(image, written, str(env_file))
    if not rebuild and not (written and image_id(written)):
        reason = ""
        if not image_id(image.default):
            image.say(f"pulling {image.default}")
            reason = pull(image.default)
        if not reason:
            write_variable(env_file, image.variable, "", image.comment)
            return image.default
        image.say(f"it cannot be pulled: {reason}")
    elif not rebuild and written == image.tag(written.removeprefix(f"{image.repository}:").rpartition("-")[0]):
        return written  # apt is not asked, which would take a second
    known = archives.archives() if system.is_debian_like() else []
    codename = archives.machine_release(known)
    if not codename:
        message = f"no {image.name} can be made here: this machine has no Debian package sources"
        raise ToolMissing(message, image.hint)
    tag = image.tag(codename)
    if rebuild or not image_id(tag):
        make_image(image, tag, codename, archives.release_archives(codename, known))
    write_variable(env_file, image.variable, tag, image.comment)
    return tag


def _users_choice(image: Image, chosen: str, where: str) -> str:
    if image_id(chosen):
        return chosen
    image.say(f"pulling {chosen}, which {where} asks for")
    if reason := pull(chosen):
        raise DevenvError(
            f"{image.variable}={chosen} from {where} is not there and cannot be pulled: {reason}",
            f"correct {image.variable}, or remove it from {where} to get an image that works here",
        )
    return chosen


def make_image(image: Image, tag: str, codename: str, sources: Sequence[archives.Archive]) -> None:
    """Make an image, give it its tag and remove the image that had it before; one that fails leaves no image.

    Raises ToolMissing without mmdebstrap or with an engine of another architecture, DevenvError when the build fails.
    """
    recipe = image.recipe()
    _require_mmdebstrap(image.hint)
    started = time.monotonic()
    image.say(f"making {tag} from Debian {codename} packages (about half a minute)")
    made = _bootstrap(image, recipe, codename, sources)
    done = ask(["docker", "run", "--rm", "--network=none", "--read-only", made, *recipe.check])
    if done.returncode != 0:
        ask(["docker", "image", "rm", made])
        raise DevenvError(f"the image that was made does not run\n{last_lines(done.stderr, 5)}", image.hint)
    before = image_id(tag)
    must(["docker", "tag", made, tag], f"naming {tag}")
    if before not in ("", made):
        ask(["docker", "image", "rm", before])  # stays where a container or an image still stands on it
    image.say(f"done in {time.monotonic() - started:.0f} s")


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


def _bootstrap(image: Image, recipe: Recipe, codename: str, sources: Sequence[archives.Archive]) -> str:
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
        raise DevenvError(f"mmdebstrap could not make the image\n{last_lines(words + imported.stderr)}", image.hint)
    return made


def _mmdebstrap(recipe: Recipe, codename: str, folder: Path) -> list[str]:
    packages = [*recipe.packages, *([MERGED_PACKAGE] if apt.candidate(MERGED_PACKAGE) else [])]
    hooks = []
    for number, (path, content) in enumerate(recipe.files.items()):
        (folder / str(number)).write_bytes(content)
        hooks += [f'mkdir -p "$1{Path(path).parent}"', f'upload "{folder / str(number)}" "{path}"']
    hooks += [*recipe.hooks, "rm -rf " + " ".join(f'"$1"/{name}' for name in recipe.left_out)]
    merged = Path("/usr/share/mmdebstrap/hooks/merged-usr")
    return [
        "mmdebstrap", "--format=tar", "--variant=essential", f"--include={','.join(packages)}",
        '--aptopt=Acquire::Languages "none"', *(f"--aptopt={line}" for line in apt.acquire_settings()),
        *([f"--hook-dir={merged}"] if merged.is_dir() else []),
        *(f"--customize-hook={hook}" for hook in hooks),
        codename, "-", str(folder / "debian.sources"),
    ]  # fmt: skip
