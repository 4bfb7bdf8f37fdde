"""Which image Compose gets for one of its variables: the user's, the default one, or one made here from packages.

An image is made only where the default one could neither be found nor pulled; its name then goes to compose/.env, so
that every later build uses it.
"""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from devenv.core.errors import DevenvError, ToolMissing
from scripts.machine import apt, system
from scripts.machine.bootstrap import Recipe, make_image
from scripts.machine.docker import image_id
from scripts.machine.process import ROOT, environment, say

ENV_FILE = ROOT / "compose" / ".env"
# A registry whose name cannot be resolved fails at once; one that drops packets would hold a build for minutes.
STALL_SECONDS = 60.0
_ASSIGNMENT = r"^[ \t]*(?:export[ \t]+)?{}[ \t]*=(.*)"


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
        return f"{self.repository}:{codename}-{self.recipe().digest(codename)}"

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
    known = apt.archives() if system.is_debian_like() else []
    codename = apt.machine_release(known)
    if not codename:
        message = f"no {image.name} can be made here: this machine has no Debian package sources"
        raise ToolMissing(message, image.hint)
    tag = image.tag(codename)
    if rebuild or not image_id(tag):
        started = time.monotonic()
        image.say(f"making {tag} from Debian {codename} packages (about half a minute)")
        make_image(image.recipe(), tag, codename, apt.release_archives(codename, known), image.hint)
        image.say(f"done in {time.monotonic() - started:.0f} s")
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


def pull(name: str, stall_seconds: float = STALL_SECONDS) -> str:
    """Pull an image, giving up after `stall_seconds` without progress; returns why it failed, empty when it did not.

    docker runs on a pseudo-terminal of ours: without a terminal it prints nothing while a layer is on its way.
    """
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        ["docker", "pull", name],
        stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=environment(), start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    output, chunk = b"", b" "
    try:
        while chunk:
            if not select.select([ours], [], [], stall_seconds)[0]:
                return f"no progress within {stall_seconds:g} s"
            try:
                chunk = os.read(ours, 65536)
            except OSError:  # Linux says EIO when the last writer has gone
                chunk = b""
            output = (output + chunk)[-8192:]
        if process.wait() == 0:
            return ""
    finally:
        os.close(ours)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    lines = [line for line in output.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"docker pull ended with {process.returncode}"


def read_variable(path: Path, name: str) -> str:
    """Return a variable's value, the last one as Compose takes it; empty where the file or the variable is missing."""
    values = re.findall(_ASSIGNMENT.format(re.escape(name)), _text(path), re.MULTILINE)
    value = values[-1].strip() if values else ""
    quoted = re.fullmatch(r"(['\"])(.*)\1", value)
    return quoted[2] if quoted else re.split(r"\s+#", value, maxsplit=1)[0]


def write_variable(path: Path, name: str, value: str, comment: str) -> None:
    """Set a variable where it stands, or at the end, with our comment line above it; an empty value takes both out."""
    text = _text(path)
    ours = re.compile(rf"(?:{_ASSIGNMENT.format(re.escape(name))}|^# {re.escape(comment)}\r?)(?:\n|\Z)", re.MULTILINE)
    first = ours.search(text)
    before, after = (text[: first.start()], ours.sub("", text[first.start() :])) if first else (text, "")
    if value:
        end = "\n" if before and not before.endswith("\n") else ""
        before += f"{end}# {comment}\n{name}={value}\n"
    if before + after != text:
        _replace(path.resolve(), before + after)  # a symbolic link keeps pointing where it pointed


def _text(path: Path) -> str:
    # Read as bytes: a file with CRLF keeps it.
    return path.read_bytes().decode(errors="surrogateescape") if path.exists() else ""


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as draft:
        draft.write(text.encode(errors="surrogateescape"))
    if path.exists():
        shutil.copymode(path, draft.name)
    else:
        Path(draft.name).chmod(0o644)
    Path(draft.name).replace(path)
