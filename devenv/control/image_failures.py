"""Why an image could not be pulled or built: what registries and BuildKit say, and credential helpers that hang."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final

from devenv.backends.docker.endpoint import credential_helpers
from devenv.control.stream import Step
from devenv.core.errors import DevenvError
from devenv.core.model import Project
from devenv.core.text import sanitize
from devenv.core.why import without_callers

_HUB = "docker.io"
# What a registry, or the way to it, answers: {registry} and {image} are filled in. The first that matches counts.
_WHY_NOT: tuple[tuple[str, str, str], ...] = (
    (
        r"(?:error getting credentials.*?)?(?P<helper>docker-credential-[\w.-]+)|error getting credentials",
        "docker's credential helper {helper} failed",
        "Install it, or correct {setting}.",
    ),
    (
        r"toomanyrequests|rate limit|429 Too Many",
        "the registry {registry} allows no more pulls for now",
        "Wait, or log in: docker login {registry}",
    ),
    (
        r"pull access denied|unauthorized|authentication required|no basic auth|insufficient_scope|requested access"
        r"|403 Forbidden|401 Unauthorized",
        "the registry {registry} does not know it, or does not give it to you",
        "Check the name; log in (docker login {registry}) where it is private; build it where it is the project's own.",
    ),
    (
        r"no matching manifest|provide the specified platform|no match for platform|match the \w+ platform",
        "there is none for this platform",
        "Choose another tag, or a platform that there is one for: `platform` in the Compose file.",
    ),
    (
        r"manifest unknown|manifest for .* not found|no such manifest|manifests/\S+: not found|: not found\s*$",
        "the registry {registry} has no such name or tag",
        "Correct the image's name or tag.",
    ),
    (
        r"x509|certificate|HTTP response to HTTPS client",
        "the registry {registry} has no certificate that the engine trusts",
        "Let the engine trust it (/etc/docker/certs.d), or list it in the engine's insecure-registries.",
    ),
    (
        r"no such host|server misbehaving|connection refused|connection reset|timeout|deadline exceeded|unreachable"
        r"|no route to host|\bEOF\b|could not resolve host|proxyconnect",
        "the registry {registry} cannot be reached",
        "Check the network, the engine's proxy, and the registry in the image's name.",
    ),
    (r"invalid reference format", "that is not a name of an image", "Correct it: lowercase, as in registry/name:tag."),
    (
        r"no such image",
        "it is not on the engine, and was not pulled",
        "Pull it (docker pull {image}), or build it: devenv build",
    ),
    (r"no space left on device", "the engine's disk is full", "See what takes the space: docker system df"),
)
_REGISTRY_WORDS = re.compile(
    r"Get \"https?://\S+/v2/|/manifests/|manifest|pull access denied|No such image|invalid reference format|registry"
    r"|toomanyrequests|error getting credentials|failed to resolve reference|specified platform",
    re.IGNORECASE,
)
_NAMED = re.compile(
    r"No such image: (\S+)|unable to get image '([^']+)'|pull access denied for ([^\s,]+)|manifest for (\S+) not found"
    r"|image with reference (\S+) was found|failed to resolve reference \"([^\"]+)\""
)
_BASE = re.compile(r"failed to resolve source metadata for (\S+?): |failed to solve: (\S+): (?:pull access|failed to)")

_BUILD = re.compile(
    r"failed to solve|unable to prepare context|failed to get build context|failed to evaluate path|^failed to stat /"
    r"|^invalid tag|failed to convert agent config",
    re.MULTILINE,
)
_TARGET = re.compile(r"target ([\w.-]+): ")
_DOCKERFILE_PLACE = re.compile(r"^(?P<file>\S+):(?P<line>\d+)\s*$", re.MULTILINE)
_DOCKERFILE_MARK = re.compile(r"^\s*\d+ \| >>> (?P<code>.*)$", re.MULTILINE)
_FOLDER = re.compile(
    r'unable to prepare context: path "(.+?)" not found|failed to get build context \S+: stat (.+?): '
    r'|failed to evaluate path "(.+?)"'
)
# What else keeps a build from beginning or ending: how it is reported ("" as BuildKit does), and what to do.
_BUILD_RULES: tuple[tuple[str, str, str], ...] = (
    (
        r"git stderr|error fetching default branch|failed to fetch remote",
        "",
        "Check the network, and the repository in `build` of the service.",
    ),
    (
        r"failed to read dockerfile: open (?P<what>.+?): ",
        "there is no Dockerfile {what} in its build folder",
        "Make it, or correct `build.dockerfile` of the service.",
    ),
    (
        r'target stage "(?P<what>.+?)" could not be found',
        "its Dockerfile has no stage {what}",
        "Correct `build.target` of the service.",
    ),
    (
        r"^failed to stat (?P<what>.+?): ",
        "the file {what} of a build secret does not exist",
        "Make it, or correct `secrets` in the Compose file.",
    ),
    (r"agent config", "", "Start an ssh-agent (ssh-agent, ssh-add), or leave `build.ssh` out."),
    (r"invalid tag \"(?P<what>.*?)\"", "{what!r} is not a name of an image", "Correct `image` of the service."),
    (
        r"failed to calculate checksum of ref .*?: \"(?P<what>.+?)\": not found",
        "{what} is not in the build folder",
        "Correct the path in the Dockerfile, or look whether .dockerignore leaves it out.",
    ),
    (r"no space left on device", "", "See what takes the space: docker system df"),
)


def is_build_failure(message: str) -> bool:
    """Whether BuildKit, or Compose on the way to it, speaks."""
    return _BUILD.search(message) is not None


def pull_failed(message: str, project: Project | None, service: str, image: str) -> DevenvError | None:
    """Recognize why an image could not be had; None: the message is about something else."""
    named = _NAMED.search(message)
    image = image or sanitize(next((group for group in named.groups() if group), "") if named else "")
    if not image and not _REGISTRY_WORDS.search(message):
        return None
    reason = _why_not(message, image)
    if reason is None:
        return None
    users = service or ", ".join(item.name for item in project.services if item.image == image) if project else service
    what = f"The image {image}" if image else "The image" if users else "An image"
    return DevenvError(f"{what}{f' of service {users}' if users else ''} cannot be had: {reason[0]}", reason[1])


def _why_not(message: str, image: str) -> tuple[str, str] | None:
    first, slash, _ = image.partition("/")
    is_host = bool(slash) and ("." in first or ":" in first or first == "localhost")
    facts = {"registry": first if is_host else _HUB if image else "", "image": image}
    for pattern, what, hint in _WHY_NOT:
        if match := re.search(pattern, message, re.IGNORECASE):
            helper = match.groupdict().get("helper") or ""
            facts |= {"helper": helper, "setting": setting_of(helper)}
            text = f"{what.format(**facts)} ({short(message)})"
            return re.sub(r"\s+", " ", text), hint.format(**facts)
    return None


def build_failed(message: str, project: Project | None, step: Step | None, service: str) -> DevenvError:
    """Say which image could not be built and why: the line of the Dockerfile, the step, and its last output."""
    target = _TARGET.search(message)
    name = target[1] if target else service
    folder = _FOLDER.search(message)
    if folder is not None:
        return _no_folder(next(group for group in folder.groups() if group), project, name)
    reason = step.error if step is not None and step.error else short(message.rpartition("failed to solve: ")[2])
    hint = f"Correct the Dockerfile, then: devenv build {name}".rstrip()
    base = _BASE.search(message)
    why = _why_not(reason, image := base[1] or base[2]) if base is not None else None
    if why is not None:
        reason, hint = f"the image {image}, which the build needs, cannot be had: {why[0]}", why[1]
    for pattern, what, to_do in _BUILD_RULES if why is None else ():
        if match := re.search(pattern, message, re.MULTILINE):
            reason, hint = what.format(**_texts(match)) or reason, to_do
            break
    parts = [f"The image{f' of service {name}' if name else ''} could not be built"]
    place, code = _DOCKERFILE_PLACE.search(message), _DOCKERFILE_MARK.search(message)
    if place is not None:
        said = f": {code['code'].strip()}" if code else ""
        parts.append(f"{place['file']} line {place['line']}{said}")
    parts.append(reason)
    text = "\n  ".join(part for part in parts if part)
    if step is not None and step.last_lines:
        text += "\n  last output of the step:\n" + "\n".join(f"    {line}" for line in step.last_lines)
    return DevenvError(text, hint)


def _no_folder(folder: str, project: Project | None, service: str) -> DevenvError:
    folder = sanitize(folder)
    # Compose tells the first that it met.
    known = {item.name: item.context for item in project.services if item.context} if project else {}
    missing = {name: path for name, path in known.items() if not Path(path).is_dir()}
    if folder in missing.values():
        what = "; ".join(f"the build folder {path} of service {name}" for name, path in missing.items())
    else:
        what = f"the build folder {folder}{f' of service {service}' if service else ''}"
    verb = "are" if len(missing) > 1 else "is"
    hint = "Make what is missing, or correct `build.context` (additional_contexts) of the service."
    return DevenvError(f"{what[0].upper()}{what[1:]} {verb} not there", hint)


def _texts(match: re.Match[str]) -> Mapping[str, str]:
    return {name: sanitize(text or "") for name, text in match.groupdict().items()}


def short(message: str) -> str:
    """Return an engine's sentence on one line, as much of it as tells something."""
    text = without_callers(message)
    return text if len(text) <= 600 else f"{text[:600]}…"


HELPER_SPEAKS_AFTER: Final = 5.0  # seconds; then again and again
HELPER_GIVEN_UP_AFTER: Final = 60.0  # seconds
_LOOK_EVERY: Final = 1.0  # seconds
_HELPER_PREFIX: Final = "docker-credential-"
_DOCKERS_OWN: Final = ("docker", "com.docker.", "ssh", "git")  # what their names begin with


def setting_of(helper: str, environ: Mapping[str, str] | None = None) -> str:
    """Return which setting of which file names this helper, as "docker-credential-x"."""
    surroundings = os.environ if environ is None else environ
    return credential_helpers(surroundings).get(helper, "credsStore and credHelpers in docker's config.json")


class HelperWatch:
    """Looks, from entering to leaving, whether a process group waits for a credential helper.

    Docker waits for one for ever, silently. A helper that needs its user (a keychain to be opened) may take a while.
    `tell` gets a sentence where one takes long. Where it does not end, `error` is set and `give_up` called, once.
    With `runs_programs` the group runs programs of the user's own, as providers are, which may take as long as they
    like: then only what is called as a helper is one. A helper may be a script that became another program.
    """

    def __init__(
        self,
        group: int,
        environ: Mapping[str, str] | None,
        tell: Callable[[str], None],
        give_up: Callable[[], None],
        *,
        runs_programs: bool = False,
    ) -> None:
        self._group = group
        self._runs_programs = runs_programs
        self._known = credential_helpers(os.environ if environ is None else environ)
        self._tell = tell
        self._give_up = give_up
        self._over = threading.Event()
        self.error: DevenvError | None = None

    def __enter__(self) -> HelperWatch:
        """Begin to look; without a helper in docker's settings there is nothing to look for."""
        if self._known:
            threading.Thread(target=self._watch, name="credential-helper", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Look no more."""
        self._over.set()

    def _watch(self) -> None:
        pid, since, spoke_at = 0, 0.0, 0.0
        while not self._over.wait(_LOOK_EVERY):
            now = time.monotonic()
            helper, command = next(iter(_helpers_of(self._group, self._runs_programs)), (0, ""))
            if helper != pid:
                pid, since, spoke_at = helper, now, now
            if not pid or now - spoke_at < HELPER_SPEAKS_AFTER:
                continue
            spoke_at = now
            name = next((name for name in self._known if name in command), next(iter(self._known)))
            if now - since >= HELPER_GIVEN_UP_AFTER:
                what = f"docker's credential helper {name} did not answer within {HELPER_GIVEN_UP_AFTER:.0f} s"
                self.error = DevenvError(what, f"Mend it, or correct {self._known[name]}.")
                self._give_up()
                return
            end = f"it is given up after {HELPER_GIVEN_UP_AFTER:.0f} s"
            self._tell(f"still waiting for docker's credential helper {name} ({now - since:.0f} s; {end})")


def _helpers_of(group: int, runs_programs: bool) -> Iterator[tuple[int, str]]:
    """Yield (pid, command line) of what may be a credential helper in a process group."""
    for pid, member_of, words in _processes():
        if member_of != group or not words.strip():
            continue
        other = not Path(words.split()[0]).name.startswith(_DOCKERS_OWN)
        if _HELPER_PREFIX in words or (other and not runs_programs):
            yield pid, words


def _processes() -> Iterator[tuple[int, int, str]]:
    """Yield (pid, process group, command line) of all processes that can be seen."""
    if not Path("/proc/self/stat").exists():
        done = subprocess.run(["ps", "-A", "-o", "pid=,pgid=,args="], capture_output=True, text=True, check=False)
        for line in done.stdout.splitlines():
            pid, group, words = line.split(None, 2)
            yield int(pid), int(group), words
        return
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            # proc(5): pid (name) state ppid pgrp ...; the name may hold anything, parentheses too.
            own_group = int((entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[2])
            words = (entry / "cmdline").read_text(errors="replace").replace("\0", " ")
        except (OSError, IndexError, ValueError):
            continue  # it ended meanwhile
        yield int(entry.name), own_group, words
