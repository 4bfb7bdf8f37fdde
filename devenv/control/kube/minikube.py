"""minikube: what a command line of it does to which profile, passed by the guard, and its acts in the terminal.

For the terminal an act runs beside it: its progress are minikube's own events (`--output json`, a CloudEvent a line).
"""

from __future__ import annotations

import json
import re
import shlex
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from devenv.backends.clusters import Profile, need_minikube, profile_stamp, read_addons, read_profiles
from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import KubeError
from devenv.backends.kube.kinds import PODS, PVCS
from devenv.backends.kube.kubeconfig import contexts, find_target
from devenv.control.guard import ClusterIdentity, Guard
from devenv.control.kube.kubectl import Effect, follow, parse_line
from devenv.control.protocol import Plan
from devenv.control.runner import Report, Runner
from devenv.core.errors import DevenvError, UsageError
from devenv.core.kube_settings import KubeSettings
from devenv.core.model import Action, Progress
from devenv.core.text import counted, sanitize

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


_DEFAULT_PROFILE: Final = "minikube"  # the profile that minikube itself takes


@dataclass(frozen=True, slots=True)
class MinikubeCall:
    """A line for a profile, as the settings say; `command` begins with "minikube"."""

    line: MinikubeLine
    profile: str
    command: tuple[str, ...]

    @classmethod
    def of(cls, line: MinikubeLine, settings: KubeSettings, environ: Mapping[str, str]) -> MinikubeCall:
        """Find the profile, and what a new cluster is to have; raises UsageError for a context of another tool."""
        profile = profile_of(line, settings, environ)
        named = () if line.profile else (f"--profile={profile}",)
        return cls(line, profile, ("minikube", *named, *line.words, *_sizes(line, profile, settings, environ)))

    def plan(self, guard: Guard) -> Plan:
        """Return the guard's answer; what is in a cluster that is deleted is not looked at."""
        line = self.line
        takes = line.effect is Effect.TAKES_AWAY
        return guard.plan_cluster(
            f"minikube {line.verb}",
            line.names or (self.profile,),
            ClusterIdentity(self.profile, "", ""),
            sentences=(line.sentence(self.profile),) if takes else (),
            losses=("the data of every volume in the cluster",) if line.verb == "delete" else (),
            needs_confirmation=takes,
            command=shlex.join(self.command),
        )


def profile_of(line: MinikubeLine, settings: KubeSettings, environ: Mapping[str, str]) -> str:
    """Return the chosen profile; minikube calls it and its context alike. Raises UsageError, BadKubeconfig."""
    if line.profile:
        return line.profile
    known = contexts(environ)
    profile = settings.context or environ.get("MINIKUBE_PROFILE") or known.current or _DEFAULT_PROFILE
    context = known.find(profile)
    if context is None or context.flavour == "minikube" or (settings.context and not context.flavour):
        return profile
    if not context.flavour:
        return _DEFAULT_PROFILE
    hint = f"Name a profile of minikube with --profile, or use {context.flavour} itself."
    raise UsageError(f"The context {sanitize(profile)} is a cluster of {context.flavour}, not of minikube", hint)


def _sizes(line: MinikubeLine, profile: str, settings: KubeSettings, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the settings' flags for a cluster that is made: one that is there keeps its size."""
    if line.verb != "start" or line.effect is Effect.READS or not settings.minikube:
        return ()
    if any(known.name == profile for known in read_profiles(environ, light=True)):
        return ()
    given = {word.partition("=")[0] for word in line.words}
    return tuple(flag for flag in settings.minikube if flag.partition("=")[0] not in given)


def with_contents(plan: Plan, environ: Mapping[str, str]) -> Plan:
    """Return the plan of a deletion with what is in the cluster; one that does not answer is deleted unseen."""
    if plan.verb != "minikube delete" or contexts(environ).find(plan.context) is None:
        return plan
    try:
        client = KubeClient(find_target(KubeSettings(plan.context), environ), environ)
        pods, _ = client.list(PODS, None)
        claims, _ = client.list(PVCS, None)
    except KubeError as error:
        said = f"What is in it is not known: {error.message}."
    else:
        spaces = {pod["metadata"]["namespace"] for pod in pods}
        where = f"{counted(len(pods), 'pod')} in {counted(len(spaces), 'namespace')}"
        said = f"In it are {where}, and {counted(len(claims), 'claim')} with their data."
    return replace(plan, sentences=(*plan.sentences, said))


class MinikubeControl(Runner):
    """The acts of the terminal on the profile that the settings choose, one at a time."""

    def __init__(self, guard: Guard, environ: Mapping[str, str], settings: KubeSettings) -> None:
        super().__init__(guard)
        self._environ = environ
        self._settings = settings

    def look(self) -> tuple[str, Profile | None, object]:
        """Return the chosen profile's name, how it is (None: there is no such cluster) and its stamp; blocks."""
        name = profile_of(parse_minikube(()), self._settings, self._environ)
        stamp = profile_stamp(self._environ, name)
        return name, next((one for one in read_profiles(self._environ) if one.name == name), None), stamp

    def stamp(self, profile: str) -> object:
        """Return what differs once somebody did something to the profile; reads files' times."""
        return profile_stamp(self._environ, profile)

    def addons(self, profile: str) -> Mapping[str, bool]:
        """Return all addons and whether each is enabled; blocks, raises ToolMissing, DevenvError."""
        return read_addons(self._environ, profile)

    @property
    def new_size(self) -> str:
        """The flags that a new cluster is made with, as they are typed."""
        return shlex.join(self._settings.minikube)

    def plan(self, *words: str) -> Plan:
        """Weigh a command line of minikube; blocks, raises UsageError, ToolMissing."""
        return MinikubeCall.of(parse_minikube(words), self._settings, self._environ).plan(self._guard)

    def reach(self, plan: Plan) -> Plan:
        """Return the plan with what is in the cluster that it deletes; blocks."""
        return with_contents(plan, self._environ)

    def request(self, plan: Plan) -> Action:
        """Begin to carry it out; raises Refused by policy and while another act on the profile runs."""
        busy = self.busy((plan.context,))
        if busy is not None:
            raise self._guard.refuse(
                plan, f"{plan.verb} was not begun: {busy.verb} is still running", "Wait for it, or cancel it."
            )
        line = [need_minikube(self._environ), *shlex.split(plan.command)[1:]]
        if plan.verb.partition(" ")[2] in _TELLS_EVENTS:
            line.append("--output=json")
        return self.begin(self._guard.begin(plan), _MinikubeWork(plan.verb, line, self._environ), {plan.context})


_TELLS_EVENTS: Final = frozenset({"start", "stop", "pause", "unpause", "delete"})
_EVENT: Final = "io.k8s.sigs.minikube."
_DECORATION: Final = re.compile(r"^[^\w\"'<]+")  # the picture before each message


class _MinikubeWork:
    """`devenv.control.runner.Work` of one command line."""

    def __init__(self, what: str, line: Sequence[str], environ: Mapping[str, str]) -> None:
        self._what = what
        self._line = line
        self._environ = environ
        self._stop = threading.Event()
        self._step = Progress("", "")
        self._failure = ("", "")  # what it said went wrong, and what to do

    def run(self, report: Report) -> str:
        """Run it to its end; raises Interrupted, ToolMissing, and DevenvError in minikube's words."""
        code, said = follow(self._line, self._environ, lambda text: self._hear(text, report), self._stop)
        if code:
            message, advice = self._failure
            last = next((_event(text)[1].get("message", "") for text in reversed(said)), "")
            message = message or _DECORATION.sub("", last) or f"exit code {code}"
            raise DevenvError(f"{self._what} failed: {message}", advice or f"By hand: {shlex.join(self._line)}")
        return self._step.text

    def interrupt(self) -> None:
        """End it as ctrl-c would; a second time changes nothing."""
        self._stop.set()

    def _hear(self, text: str, report: Report) -> None:
        kind, data = _event(text)
        message = _DECORATION.sub("", data.get("message", ""))
        if kind == "error":
            if data.get("exitcode") or not self._failure[0]:
                self._failure = (message, data.get("advice", ""))
        elif kind == "warning":
            report(Progress(message, "Warning", "warning"))
        elif kind == "download.progress":
            share = data.get("progress", "")
            percent = int(float(share) * 100) if re.fullmatch(r"[0-9.]+", share) else None
            report(Progress(f"Downloading {data.get('artifact', '')}", "", percent=percent))
        elif kind in ("step", "") and message:
            name, at, total = (data.get(key, "") for key in ("name", "currentstep", "totalsteps"))
            if self._step.id not in ("", name):
                report(replace(self._step, status="done"))
            percent = 100 * int(at) // int(total) if at.isdigit() and total.isdigit() and int(total) else None
            self._step = Progress(name or self._what, message, percent=percent)
            report(self._step)


def _event(text: str) -> tuple[str, dict[str, str]]:
    """Read one line that minikube prints: the kind of its event with its data; a plain line is a message."""
    try:
        event = json.loads(text)
        kind, data = str(event["type"]), {str(name): str(value) for name, value in event["data"].items()}
    except (ValueError, LookupError, TypeError, AttributeError):
        return "", {"message": text}
    return kind.removeprefix(_EVENT), data
