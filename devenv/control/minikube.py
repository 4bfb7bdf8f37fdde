"""A command line of minikube: what it does to which profile. The program itself is never assumed to be here."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from devenv.control.kube.kubectl import Effect, parse_line
from devenv.core.errors import ToolMissing
from devenv.core.text import sanitize

_R, _C, _T = Effect.READS, Effect.CHANGES, Effect.TAKES_AWAY
# The longest entry counts; a verb that is not here counts as a change.
_EFFECTS: Final[Mapping[str, Effect]] = {
    **dict.fromkeys(("completion", "docker-env", "help", "ip", "license", "logs", "options", "podman-env"), _R),
    **dict.fromkeys(("profile list", "service list", "service", "ssh-host", "ssh-key", "status", "version"), _R),
    **dict.fromkeys(("addons images", "addons list", "cache list", "config defaults", "config get", "config view"), _R),
    **dict.fromkeys(("image list", "image ls", "node list", "update-check", "addons open"), _R),
    **dict.fromkeys(("addons disable", "cache delete", "delete", "image rm", "node delete", "node stop", "stop"), _T),
    "profile": _C,
}
_GROUPS: Final = frozenset({"addons", "cache", "config", "image", "node"})  # alone they print their help
_SWITCHES: Final = frozenset({"all", "h", "help", "purge", "alsologtostderr", "logtostderr", "rootless"})
_WHAT: Final[Mapping[str, str]] = {
    "delete": "Deletes the cluster {name} with everything in it: workloads, images, and the data of all its volumes.",
    "stop": "Stops the cluster {name}: everything in it stops, and local data of its pods (emptyDir) may go.",
    "addons disable": "Disables the addon {names} of the cluster {name}, and removes what it made.",
    "image rm": "Removes the image {names} from the nodes of {name}.",
    "node delete": "Deletes the node {names} of the cluster {name} with the pods on it and their local data.",
    "node stop": "Stops the node {names} of the cluster {name} with the pods on it.",
}


@dataclass(frozen=True, slots=True)
class MinikubeLine:
    """The words taken apart; `profile` is "" where the line names none."""

    words: tuple[str, ...]
    verb: str
    names: tuple[str, ...]
    effect: Effect
    profile: str = ""
    all_profiles: bool = False

    def sentence(self, profile: str) -> str:
        """Say what it takes away."""
        if self.verb == "delete" and self.all_profiles:
            return "Deletes ALL clusters of minikube with everything in them, not only this profile's."
        template = _WHAT.get(self.verb, f"Runs minikube {self.verb} {{names}} in {{name}}.")
        return template.format(name=sanitize(profile), names=sanitize(", ".join(self.names)))


def parse_minikube(words: Sequence[str]) -> MinikubeLine:
    """Take the words apart. `minikube kubectl -- ...` does what the words after `--` do."""
    verb, names, place = "", [], 0
    flags: dict[str, str] = {}
    rest: list[str] = []
    while place < len(words):
        word = words[place]
        place += 1
        if word == "--":
            rest = list(words[place:])
            break
        if word.startswith("-") and word != "-":
            name, equals, value = word.lstrip("-").partition("=")
            # Which of minikube's flags have a value is not known here; only those before the verb and -p matter.
            takes = not equals and name not in _SWITCHES and (not verb or name in ("p", "profile"))
            flags[name] = value if equals else words[place] if takes and place < len(words) else "true"
            place += takes
        elif not verb:
            verb = word
        elif " " not in verb and (verb in _GROUPS or f"{verb} {word}" in _EFFECTS):
            verb = f"{verb} {word}"
        else:
            names.append(word)
    effect = _EFFECTS.get(verb) or _EFFECTS.get(verb.partition(" ")[0]) or _C
    if verb == "profile" and not names:
        effect = _R
    if verb == "kubectl":
        effect = parse_line([*names, *rest]).effect
    if not verb or verb in _GROUPS or flags.get("help", flags.get("h", "false")) != "false":
        effect = _R
    profile = flags.get("profile", flags.get("p", ""))
    return MinikubeLine(tuple(words), verb, tuple(names), effect, profile, flags.get("all", "false") != "false")


def find_minikube(environ: Mapping[str, str]) -> str:
    """Return its path; raises ToolMissing. A context called minikube is no sign that the program is here."""
    program = shutil.which("minikube", path=environ.get("PATH", ""))
    if not program:
        hint = "Install it (https://minikube.sigs.k8s.io/docs/start/). What is in the cluster: devenv kubectl ..."
        raise ToolMissing("minikube is not installed, or not on PATH", hint)
    return program
