"""minikube's own verbs: start, stop, pause, unpause, delete, addons and tunnel of one profile, with its progress.

minikube prints JSON for start, stop, pause, unpause and delete (`--output json`), and for `addons list`.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from devenv.backends.programs import finish
from devenv.control.kube.kubectl import follow
from devenv.control.minikube_events import MinikubeFailure, parse_event
from devenv.control.runner import Report
from devenv.control.stream import Remark
from devenv.core.errors import DevenvError, Interrupted, ToolMissing
from devenv.core.model import Progress
from devenv.core.text import sanitize

VERBS = ("start", "stop", "pause", "unpause", "delete")
_LIST_TIMEOUT = 30.0  # seconds; reading the profile's file takes a fraction
_WHAT = {
    "start": "Starts the cluster {name}, and creates it where it does not exist.",
    "stop": "Stops the cluster {name}: everything in it stops, nothing is lost.",
    "pause": "Pauses the cluster {name}: its containers are frozen until it is unpaused.",
    "unpause": "Lets the cluster {name} go on.",
    "delete": "Deletes the cluster {name} with everything in it: workloads, images, and the data of all its volumes.",
    "addons enable": "Enables the addon {addon} of the cluster {name}.",
    "addons disable": "Disables the addon {addon} of the cluster {name}, and removes what it made.",
}


@dataclass(frozen=True, slots=True)
class Addon:
    """One addon; `status` is "enabled" or "disabled" ("" in versions that do not say)."""

    name: str
    status: str


def find_minikube(environ: Mapping[str, str]) -> str:
    """Return its path; raises ToolMissing. A context called minikube is no sign that the program is here."""
    found = shutil.which("minikube", path=environ.get("PATH", ""))
    if not found:
        hint = "Install it (https://minikube.sigs.k8s.io/docs/start/). What is in the cluster: devenv kube ..."
        raise ToolMissing("minikube is not installed, or not on PATH", hint)
    return found


def sentence(verb: str, name: str, addon: str = "") -> str:
    """Say what a verb does to a profile."""
    return _WHAT[verb].format(name=sanitize(name), addon=sanitize(addon))


class Minikube:
    """One profile. Raises ToolMissing when made where the program is not."""

    def __init__(self, profile: str, environ: Mapping[str, str]) -> None:
        self.profile = profile
        self._environ = environ
        self._program = find_minikube(environ)

    def line(self, *arguments: str) -> list[str]:
        """Return the command line for this profile."""
        return [self._program, "--profile", self.profile, *arguments]

    def addons(self) -> list[Addon]:
        """Return all addons; raises DevenvError where the profile does not exist."""
        told = json.loads(self._read("addons", "list", "--output", "json") or "{}")
        return [
            Addon(sanitize(str(name)), sanitize(str(about.get("Status", ""))) if isinstance(about, dict) else "")
            for name, about in sorted(told.items())
        ]

    def work(self, verb: str, arguments: Sequence[str] = ()) -> MinikubeWork:
        """Return the work of one verb, with further options of minikube's."""
        told = ("--output", "json") if verb in VERBS else ()
        quiet = ("--interactive=false",) if verb == "start" else ()
        return MinikubeWork(self.line(*verb.split(), *told, *quiet, *arguments), verb, self._environ)

    def _read(self, *arguments: str) -> str:
        what = f"minikube {' '.join(arguments[:2])}"
        done = finish(self.line(*arguments), self._environ, timeout=_LIST_TIMEOUT, what=what)
        if done.returncode:
            raise _error(" ".join(arguments[:2]), done.returncode, [*_events(done.stdout), *_events(done.stderr)])
        return done.stdout.decode("utf-8", "replace")


class MinikubeWork:
    """`devenv.control.runner.Work` of one call of minikube."""

    def __init__(self, line: Sequence[str], verb: str, environ: Mapping[str, str]) -> None:
        self._line = line
        self._verb = verb
        self._environ = environ
        self._stop = threading.Event()

    def run(self, report: Report) -> str:
        """Run it to its end. Raises DevenvError with minikube's reason and advice, Interrupted."""
        events: list[Progress | Remark | MinikubeFailure] = []

        def tell(text: str) -> None:
            event = parse_event(text)
            if event is None:
                return
            if not isinstance(event, MinikubeFailure):
                self._report(report, events, event)
            events.append(event)

        try:
            code, _ = follow(self._line, self._environ, tell, self._stop)
        except Interrupted as error:
            hint = "See how far it got: minikube status. Start it again: devenv minikube start"
            raise Interrupted(f"minikube {self._verb} was interrupted", hint) from error
        if code:
            raise _error(self._verb, code, events)
        last = next((item for item in reversed(events) if isinstance(item, Progress)), None)
        if last is not None:
            report(Progress(last.id, last.text, "done", current=last.current, total=last.total))
        return ""

    def interrupt(self) -> None:
        """End it as ctrl-c would."""
        self._stop.set()

    def _report(self, report: Report, events: Sequence[Any], event: Progress | Remark) -> None:
        before = next((item for item in reversed(events) if isinstance(item, Progress)), None)
        if isinstance(event, Progress) and before is not None and before.id != event.id and before.status == "working":
            report(Progress(before.id, before.text, "done", current=before.current, total=before.total))
        report(event)


def _events(output: bytes) -> list[Progress | Remark | MinikubeFailure]:
    return [event for line in output.splitlines() if (event := parse_event(line)) is not None]


def _error(verb: str, code: int, events: Sequence[Progress | Remark | MinikubeFailure]) -> DevenvError:
    failure = next((event for event in reversed(events) if isinstance(event, MinikubeFailure)), None)
    if failure is not None:
        name = f" ({failure.name})" if failure.name else ""
        return DevenvError(f"minikube {verb}: {failure.message}{name}", failure.advice)
    remarks = [event.text for event in events if isinstance(event, Remark)]
    told = remarks[-1] if remarks else f"it ended with exit code {code}"
    return DevenvError(f"minikube {verb}: {told}", "More: minikube logs")
