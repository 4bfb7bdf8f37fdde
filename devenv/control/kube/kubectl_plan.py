"""What a command line of kubectl would do: in which cluster, to which objects, and what goes with them.

The objects are found by kubectl itself, by a dry run on the server with the user's own flags where the verb has one;
what goes with them is weighed as for the terminal's keys.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import KubeError
from devenv.backends.kube.kubeconfig import Target, find_target, load_kubeconfig
from devenv.backends.programs import finish
from devenv.control.guard import ClusterIdentity, Guard
from devenv.control.kube.change import Call, Impact, Ref, cluster_identity, kind_of
from devenv.control.kube.control import VERBS
from devenv.control.kube.kubectl import Effect, Line, find_kubectl, with_defaults
from devenv.control.protocol import Plan
from devenv.core.errors import DevenvError, UsageError
from devenv.core.kube_settings import KubeSettings
from devenv.core.text import sanitize

_DRY_RUN_TIMEOUT: Final = 60.0  # seconds
_ELSEWHERE: Final = ("server", "cluster", "user", "proxy-url", "tls-server-name")
_FILES: Final = ("filename", "kustomize", "recursive", "selector", "namespace", "field-selector", "all-namespaces")
# `pod "web-1" deleted from default namespace (server dry run)`, `configmap/a pruned (server dry run)`,
# `deployment.apps/web`, `node/minikube already cordoned (server dry run)`: kubectl 1.33 and newer, older without "from"
_QUOTED: Final = re.compile(r'^(\S+) "([^"]+)" (?:force )?deleted(?: from (\S+) namespace)?')
_PLAIN: Final = re.compile(r"^([a-z][a-z0-9.-]*)/(\S+)(?: (pruned|(?:already )?cordoned).*)?$")


@dataclass(frozen=True, slots=True)
class Where:
    """The cluster that a line is for. `target` is None where nothing in the kubeconfig leads there.

    `name` is what the allow-list judges: a context, or the address that no context has.
    """

    name: str
    target: Target | None
    environ: Mapping[str, str]


def find_place(line: Line, settings: KubeSettings, environ: Mapping[str, str]) -> Where:
    """Return where the line leads, by its flags, the settings and the kubeconfig; raises BadKubeconfig.

    --cluster, --user and --server count as the context that has them. Where none has, they are on no list.
    """
    files = line.last("kubeconfig")
    environ = {**environ, "KUBECONFIG": files} if files else dict(environ)
    chosen = KubeSettings(line.last("context") or settings.context, line.last("namespace") or settings.namespace)
    target = find_target(chosen, environ)
    given = {name: line.last(name) for name in _ELSEWHERE if line.last(name)}
    if not given:
        return Where(target.context.name, target, environ)
    known = load_kubeconfig(environ)

    def leads_there(context: str) -> bool:
        entry = known.contexts[context]
        cluster = known.clusters.get(str(entry.get("cluster") or ""), {})
        own = {
            "cluster": entry.get("cluster"),
            "user": entry.get("user"),
            "server": cluster.get("server"),
            "proxy-url": cluster.get("proxy-url"),
            "tls-server-name": cluster.get("tls-server-name"),
        }
        want = {"user": target.context.user, **given}
        if "server" not in given:
            want = {"cluster": target.context.cluster, **want}
        return all(str(own[name] or "").rstrip("/") == value.rstrip("/") for name, value in want.items())

    contexts = [name for name in known.contexts if leads_there(name)]
    if not contexts:
        return Where(", ".join(f"--{name}={value}" for name, value in given.items()), None, environ)
    # Several contexts may name the same cluster and user: one that may be changed is as good as the chosen one.
    name = next((name for name in contexts if settings.may_change(name)), contexts[0])
    return Where(name, find_target(KubeSettings(name, chosen.namespace), environ), environ)


class KubectlPlan:
    """One line on its way: planned, then passed by the guard, then run by who made this."""

    def __init__(self, line: Line, settings: KubeSettings, guard: Guard, environ: Mapping[str, str]) -> None:
        self.line = line
        self.stdin: bytes | None = None
        self._settings = settings
        self._guard = guard
        self._environ = environ
        self._where: Where | None = None
        self._client: KubeClient | None = None

    def command(self) -> list[str]:
        """Return kubectl with the user's words, and the cluster that devenv's settings name before them.

        Raises ToolMissing.
        """
        line, defaults = self.line, [("context", self._settings.context), ("namespace", self._settings.namespace)]
        if line.is_local or not line.known or not line.verb:  # a plugin takes no flags before its name
            return [find_kubectl(self._environ), *line.words]
        if self._where is not None and self._where.target is not None and not line.all("cluster", "user", "server"):
            defaults[0] = ("context", self._where.name)
        if defaults[0][1] == "in-cluster":
            defaults = defaults[1:]  # there is no kubeconfig: kubectl finds the service account by itself
        return [find_kubectl(self._environ), *with_defaults(line, *defaults)]

    def find_cluster(self) -> None:
        """Raise BadKubeconfig where no cluster is configured and the line names none.

        kubectl would ask localhost:8080, and tell in several lines that nobody answers there.
        """
        line = self.line
        needs_no_cluster = line.is_local or not line.known or not line.verb or line.on("client") or line.on("help")
        if (
            not needs_no_cluster
            and not line.all("kubeconfig", "server", "cluster")
            and not load_kubeconfig(self._environ).contexts
        ):
            find_place(line, self._settings, self._environ)

    def plan(self) -> Plan:
        """Weigh the line; asks the cluster where it takes something away. Raises BadKubeconfig, KubectlRefused."""
        line = self.line
        options = (("line", line.masked),)
        targets = tuple(sanitize(name.partition("=")[0]) for name in line.names)
        if line.is_local:
            takes = line.effect is Effect.TAKES_AWAY
            sentences = (f"Takes {' '.join(targets)} out of the kubeconfig.",) if takes else ()
            return self._guard.plan_cluster(
                line.verb,
                targets,
                ClusterIdentity("", "", ""),
                sentences=sentences,
                needs_confirmation=takes,
                options=options,
            )
        where = self._where = find_place(line, self._settings, self._environ)
        if where.target is None:
            return self._guard.plan_cluster(
                line.verb, targets, ClusterIdentity(where.name, "", where.name), options=options
            )
        self._client = KubeClient(where.target, where.environ)
        plan = self._guard.plan_cluster(line.verb, targets, cluster_identity(self._client), options=options)
        if not plan.allowed:
            return plan  # nothing is asked of a cluster that may not be changed
        self._pinned()
        impact, refs = self._weigh()
        return self._guard.plan_cluster(
            line.verb,
            tuple(ref.target for ref in refs) or targets,
            cluster_identity(self._client, ask=impact.confirm),
            sentences=impact.sentences,
            losses=impact.losses,
            needs_confirmation=impact.confirm,
            options=options,
        )

    def now(self, plan: Plan) -> ClusterIdentity | None:
        """Return where the plan's context leads at this moment; None for what is about no cluster."""
        if self._client is None or not plan.context:
            return None
        return cluster_identity(self._client, plan.namespace, ask=plan.needs_confirmation)

    def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            self._client.close()

    def _pinned(self) -> None:
        """Refuse a plugin where it would go to another cluster than the one that was judged."""
        assert self._where is not None
        current = load_kubeconfig(self._where.environ).current
        if not self.line.known and not self.line.last("context") and self._where.name != current:
            hint = f"Write --context={self._where.name} behind {self.line.verb}."
            raise UsageError(
                f"{self.line.verb} is not a verb of kubectl's own: it goes to the context {current!r}", hint
            )

    def _weigh(self) -> tuple[Impact, tuple[Ref, ...]]:
        line = self.line
        if not line.known:
            return Impact(), ()
        first, takes = line.verb.partition(" ")[0], line.effect is Effect.TAKES_AWAY
        flags = line.without("output", "interactive", "watch", "dry-run", "force", "v")
        dry = (*flags, ("dry-run", "server"))
        if line.last("raw"):
            return Impact((f"Sends {first.upper()} {sanitize(line.last('raw'))} as it is.",), confirm=takes), ()
        if line.verb == "delete":
            return self._survey("delete", line.words_of("delete", dry), {"cascade": line.last("cascade")})
        if line.verb == "drain":
            emptied = (*dry, ("force", "true")) if line.on("force") else dry
            return self._survey("drain", line.words_of("drain", emptied), {"selector": line.last("pod-selector")})
        if line.verb in ("scale", "rollout restart", "rollout undo"):
            get = line.words_of("get", (*line.all(*_FILES), *self._access(), ("output", "name")))
            verb = line.verb.split()[-1]
            return self._survey(verb, get, {"replicas": line.last("replicas"), "revision": line.last("to-revision")})
        if takes and first in ("apply", "replace"):
            return self._forced(dry)
        if takes and first == "taint":
            sentence = f"Evicts the pods of {' '.join(line.names)} that do not tolerate it, at once."
            return Impact((sanitize(sentence),), confirm=True), ()
        return Impact(confirm=takes), ()

    def _forced(self, dry: Sequence[tuple[str, str]]) -> tuple[Impact, tuple[Ref, ...]]:
        """Weigh --prune, and --force, which has no dry run of its own: it deletes what is there and makes it again."""
        line, impacts = self.line, [Impact(confirm=True)]
        refs: list[Ref] = []
        if line.on("prune"):
            survey = self._survey("delete", line.words_of("apply", dry), {}, only="pruned")
            impacts, refs = [*impacts, survey[0]], [*refs, *survey[1]]
        if line.on("force"):
            flags = (*line.all(*_FILES), *self._access(), ("dry-run", "server"), ("ignore-not-found", "true"))
            survey = self._survey("delete", line.words_of("delete", flags), {})
            impacts, refs = [*impacts, survey[0]], [*refs, *survey[1]]
        sentences = [sentence for one in impacts for sentence in one.sentences]
        if line.on("force"):
            sentences.append("Makes them anew from the files.")
        losses = tuple(loss for one in impacts for loss in one.losses)
        return Impact(tuple(sentences), losses, confirm=True), tuple(dict.fromkeys(refs))

    def _access(self) -> list[tuple[str, str]]:
        names = ("kubeconfig", "context", "cluster", "user", "server", "as", "as-group", "as-uid", "token")
        return self.line.all(*names, "insecure-skip-tls-verify", "certificate-authority", "proxy-url")

    def _survey(
        self, verb: str, words: Sequence[str], options: Mapping[str, str], only: str = ""
    ) -> tuple[Impact, tuple[Ref, ...]]:
        assert self._client is not None
        refs = self._refs(words, only)
        if not refs:
            return Impact(confirm=False), ()
        chosen = {name: value for name, value in options.items() if value}
        try:
            return VERBS[verb].survey(Call(self._client, refs, chosen, environ=self._environ)), refs
        except KubeError as error:
            named = ", ".join(ref.text for ref in refs)
            sentence = f"{self.line.verb.capitalize()}: {named}. What goes with it was not looked at: {error.message}"
            return Impact((sentence,), confirm=VERBS[verb].takes_away), refs

    def _refs(self, words: Sequence[str], only: str) -> tuple[Ref, ...]:
        """Return the objects that kubectl names; raises KubectlRefused where it says that it would do nothing."""
        assert self._client is not None
        assert self._where is not None
        given = {name for name, _ in self.line.flags}
        first = [] if given & {"context", "cluster", "user", "server"} else [f"--context={self._where.name}"]
        first = [] if self._where.name == "in-cluster" else first
        if "namespace" not in given and self._settings.namespace:
            first.append(f"--namespace={self._settings.namespace}")
        line = [find_kubectl(self._environ), *first, *words]
        what = f"kubectl {self.line.verb} on trial"
        if self.stdin is None and any(value == "-" for _, value in self.line.all("filename")):
            self.stdin = sys.stdin.buffer.read()
        done = finish(line, self._environ, timeout=_DRY_RUN_TIMEOUT, what=what, stdin=self.stdin)
        refs: list[Ref] = []
        for text in sanitize(done.stdout, newlines=True).splitlines():
            kind, name, namespace, said = _named(text)
            if not kind or (only and said != only):
                continue
            its_kind = kind_of(kind, self._client)
            space = namespace or self._client.target.namespace
            refs.append(Ref(its_kind, space if its_kind.namespaced else "", name))
        if done.returncode and not refs:
            raise KubectlRefused(done.stderr.decode("utf-8", "replace"), done.returncode)
        return tuple(dict.fromkeys(refs))


class KubectlRefused(DevenvError):
    """kubectl's own answer to the trial: nothing would be done, so nothing is asked. `said` is what it printed."""

    def __init__(self, said: str, exit_code: int) -> None:
        super().__init__(sanitize(said))
        self.said = said
        self.code = exit_code


def _named(text: str) -> tuple[str, str, str, str]:
    quoted, plain = _QUOTED.match(text), _PLAIN.match(text)
    if quoted:
        return quoted[1], quoted[2], quoted[3] or "", "deleted"
    return (plain[1], plain[2], "", plain[3] or "") if plain else ("", "", "", "")
