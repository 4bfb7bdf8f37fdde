"""What a user can do on the main screen: one table for keys, footer, palette, command line and help.

A row says what an action is called and what it is for; what it does is the handler of that name, which the screen and
its controller give. To add a key is one row here and one handler there.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace
from textual.binding import Binding

from devenv.core.model import Resource, State
from devenv.tui.table.cells import ROLLED

SCALED: Final = frozenset({"deployment", "statefulset", "replicaset"})
ANY_KIND: Final = frozenset({"any"})
IN_VIEW: Final = "View"
OF_PROJECT: Final = "Project"
OF_CLUSTER: Final = "Cluster, and the same by kubectl"
SERVICE: Final = "{service}"  # where the palette's name has that of the selected service
_EACH: Final = "the selected service"
_ALL: Final = "all services"


class UserAction(Struct, frozen=True):
    """One action; `name` is that of its handler, and the id of its key.

    Without a `key` it is in the palette or the command line alone. `kinds` are the kinds of a cluster's objects that it
    is for. `takes_away` says that it is asked about first. `kubectl` is what the action is in a cluster, and what it is
    called in kubectl; help tells it where there is a cluster.
    """

    name: str
    key: str = ""
    label: str = ""  # in the last line and in help
    group: str = OF_PROJECT
    note: str = ""  # in help
    kubectl: str = ""
    kinds: frozenset[str] = frozenset()
    takes_away: bool = False
    palette: str = ""  # its name there; of an action for a cluster's object: the label, with the object
    meaning: str = ""  # what the palette says beside it
    words: tuple[str, ...] = ()  # that the command line offers for it
    synonyms: tuple[str, ...] = ()  # that the command line understands, too
    argument: str = ""  # what follows the word: its handler is called with that
    choices: tuple[str, ...] = ()  # what that can be, where it is always the same
    written: str = ""  # how the key is written, where that is not Textual's name of it
    shown: bool = True  # in the last line
    priority: bool = False  # before whatever has the focus

    @property
    def typed(self) -> tuple[str, ...]:
        """The words of the command line for it: of an act on the project, its name."""
        own = self.group == OF_PROJECT and bool(self.palette)
        return self.words or ((self.name.replace("_", "-"),) if own else ())

    @property
    def of_service(self) -> bool:
        """Whether it is done to a service, which may be named on the command line."""
        return SERVICE in self.palette

    def binding(self, *, in_cluster: bool = False) -> Binding:
        """Return its key; `in_cluster` says what to tell of it."""
        notes = (self.note, "asks" if self.takes_away else "", self.kubectl if in_cluster else "")
        return Binding(
            self.key or f"no-key-for-{self.name}",  # which none is called: `[keys]` may give it one
            f"do('{self.name}')",
            self.label,
            show=self.shown and bool(self.key),
            key_display=self.written or None,
            priority=self.priority,
            tooltip="; ".join(filter(None, notes)),
            id=self.name,
        )


ACTIONS: Final = (
    # With priority, so that the keys that follow at once go where the focus went: the widget with the focus takes its
    # keys in a queue of its own, which one with priority overtakes.
    UserAction(
        *("find", "slash", "find", IN_VIEW, "filters by text, regex, label:NAME=VALUE; searches the log"),
        written="/",
        priority=True,
    ),
    UserAction(
        *("logs", "l", "logs", IN_VIEW, "", "of all pods and containers; kubectl logs -f KIND/NAME"),
        palette="view: logs",
        priority=True,
    ),
    UserAction(
        *("merged", "M", "all logs", IN_VIEW, "of marked lines, else of all, by time; again: of one"),
        palette="view: logs of all services",
        shown=False,
    ),
    UserAction("detail", group=IN_VIEW, palette="view: detail"),
    UserAction(
        *("tab_before", "left_square_bracket", "tab before", IN_VIEW, "of the details"), written="[", shown=False
    ),
    UserAction(
        *("tab_next", "right_square_bracket", "next tab", IN_VIEW, "of the details: figures, health, environment …"),
        palette="view: next tab of the details",
        written="]",
        shown=False,
    ),
    UserAction(
        *("zoom", "z", "zoom", IN_VIEW, "the pane with the focus takes the screen, or gives it back"),
        palette="view: zoom",
    ),
    UserAction(
        *("back", "escape", "back", IN_VIEW, "search, zoom, detail, filter, table"),
        palette="view: back to the table",
        shown=False,
    ),
    UserAction(
        *("sort", "O", "sort", IN_VIEW, "by the next column; after the last, by name"),
        palette="view: sort by the next column",
        shown=False,
    ),
    UserAction(
        *("turn", "I", "sort the other way", IN_VIEW, "a click on a column's head sorts by it"),
        palette="view: sort the other way",
        shown=False,
    ),
    UserAction(
        *("arrange", "a", "tree/profiles", IN_VIEW, "as the tree of what services depend on, by profile, by name"),
        palette="view: services as a tree, by profile, by name",
        shown=False,
    ),
    UserAction(
        "columns",
        group=IN_VIEW,
        palette="view: columns",
        meaning="which of them the services have; remembered",
        words=("columns",),
    ),
    UserAction("mark", "space", "mark", IN_VIEW, "for one change of all that are marked; Esc takes the marks away"),
    UserAction("drop", "x", "cancel/dismiss", note="the running change, or the error of one"),
    UserAction(
        *("restart", "r", "restart"),
        kubectl="a job runs again; asks which where it runs in both runtimes; kubectl rollout restart KIND/NAME",
        kinds=ROLLED | {"job", "cronjob"},
        palette=f"restart {SERVICE}",
        meaning=_EACH,
    ),
    UserAction(
        *("start", "t", "start"),
        kubectl="kubectl scale KIND/NAME --replicas=N",
        kinds=SCALED,
        palette=f"start {SERVICE}",
        meaning=_EACH,
    ),
    UserAction(
        *("stop", "S", "stop"),
        kubectl="to 0 pods; kubectl scale KIND/NAME --replicas=0",
        kinds=SCALED,
        palette=f"stop {SERVICE}",
        meaning=_EACH,
    ),
    UserAction(
        *("shell", "s", "shell"),
        note="bash, else sh",
        kubectl="kubectl exec -it POD -- sh",
        kinds=frozenset({"pod", "daemonset", "job", *SCALED}),
        palette=f"shell in {SERVICE}",
        meaning=_EACH,
    ),
    UserAction("up", "u", "up", note=_EACH, palette=f"up {SERVICE}", meaning=_EACH),
    UserAction("up_alone", palette=f"up {SERVICE} alone", meaning="without what it depends on"),
    UserAction("stop_dependents", palette=f"stop {SERVICE} and what depends on it", meaning="the last first"),
    UserAction("pull", palette=f"pull {SERVICE}", meaning="its image"),
    UserAction("build", palette=f"build {SERVICE}", meaning=_EACH),
    UserAction("up_all", "U", "up all", note="the whole project", palette="up project", meaning=_ALL),
    UserAction("down", "D", "down", note="the whole project", takes_away=True, palette="down project", meaning=_ALL),
    UserAction("restart_all", palette="restart project", meaning=_ALL),
    UserAction("stop_all", palette="stop project", meaning=_ALL),
    UserAction("build_all", palette="build project", meaning=_ALL),
    UserAction(
        "down_all",
        takes_away=True,
        palette="down project with orphans, one-off runs and all profiles",
        meaning=_ALL,
    ),
    UserAction(
        "down_volumes",
        takes_away=True,
        palette="down project and delete its volumes",
        meaning="all data in them are lost",
    ),
    UserAction(
        "prune", takes_away=True, palette="prune project", meaning="orphans, ended one-off runs, images without a name"
    ),
    UserAction(
        "prune_volumes",
        takes_away=True,
        palette="prune project and delete its unused volumes",
        meaning="all data in them are lost",
    ),
    UserAction("dark", group=IN_VIEW, palette="theme: dark"),
    UserAction("light", group=IN_VIEW, palette="theme: light"),
    UserAction("colorblind", group=IN_VIEW, palette="theme: colorblind", meaning="no red beside green"),
    UserAction("ansi", group=IN_VIEW, palette="theme: ansi", meaning="the terminal's sixteen colours"),
    UserAction(
        *("verify", "v", "verify"),
        note="the smoke tests: run them, see how they go",
        palette="verify: smoke tests",
        meaning="run them, see how they go",
    ),
    UserAction(
        *("load", "L", "load"),
        note="load tests: run one, see how it goes",
        palette="load: load tests",
        meaning="run one, see how it goes, earlier ones",
    ),
    UserAction(
        *("watch", "w", "watch"),
        note="saved files go into the containers at once",
        kubectl="into the pods of the namespace that is shown; kubectl cp FILE POD:PATH",
        palette="watch: saved files",
        meaning="go into the containers at once, by develop.watch; again to end it",
    ),
    UserAction(
        *("pause", "P", "pause/resume"),
        note="its processes are frozen",
        kubectl="its rollout; kubectl rollout pause|resume deployment/NAME",
        kinds=frozenset({"deployment"}),
        palette=f"pause or resume {SERVICE}",
        meaning=_EACH,
    ),
    UserAction(
        *("scale", "c", "scale"),
        takes_away=True,
        kubectl="kubectl scale KIND/NAME --replicas=N",
        kinds=SCALED,
        palette=f"scale {SERVICE}",
        meaning="how many containers it has",
    ),
    UserAction(
        *("recreate", "ctrl+r", "recreate"),
        note="new containers, with the same volumes",
        takes_away=True,
        palette=f"recreate {SERVICE}",
        meaning=_EACH,
        written="^r",
    ),
    UserAction(
        *("kill", "ctrl+k", "kill"),
        note="with a signal",
        takes_away=True,
        palette=f"kill {SERVICE}",
        meaning="with a signal",
        written="^k",
    ),
    UserAction(
        *("delete", "ctrl+d", "delete"),
        note="says what goes with it",
        kubectl="kubectl delete KIND NAME",
        kinds=ANY_KIND,
        takes_away=True,
        palette=f"remove the containers of {SERVICE}",
        meaning=_EACH,
        written="^d",
    ),
    UserAction(
        "run", "exclamation_mark", "run", note="a command in a new container", palette=f"run in {SERVICE}", written="!"
    ),
    UserAction(
        *("browse", "b", "open in browser"),
        note="a published port",
        palette="open in browser",
        shown=False,
    ),
    UserAction("profiles", palette="profiles: choose the active ones"),
    UserAction(
        "project",
        palette="project: another one of this engine",
        words=("project",),
        argument="NAME",
    ),
    UserAction(
        "docker_context",
        palette="docker context: another engine",
        words=("docker-context",),
        argument="NAME",
    ),
    UserAction(
        *("deploy", "Y", "deploy"),
        note="an overlay: what it changes, then its stages; asks",
        kubectl="kubectl apply -k, kubectl rollout status",
        palette="deploy: an overlay",
        meaning="to the cluster that is shown, proven, with a way back",
        words=("deploy",),
        argument="OVERLAY",
        shown=False,
    ),
    UserAction(
        "minikube",
        palette="minikube: start, stop, pause, addons, delete",
        words=("minikube",),
        argument="ACT",
        choices=("start", "stop", "pause", "unpause", "addons", "image", "delete"),
    ),
    UserAction(
        *("audit_log", "A", "audit log"),
        note="what was asked for, by whom, and how it ended",
        palette="audit log",
        shown=False,
    ),
    UserAction(
        "diagnostics",
        group=IN_VIEW,
        palette="diagnostics",
        meaning="what devenv itself uses: CPU, memory, streams, API calls",
        words=("diagnostics",),
    ),
    UserAction("leave", "q", "quit", palette="quit", words=("q",), synonyms=("quit", "q!")),
    UserAction(
        *("help", "question_mark", "help"),
        palette="help: all keys",
        words=("help",),
        synonyms=("h", "?"),
        written="?",
    ),
    UserAction(
        *("command", "colon", "command", IN_VIEW, "an act by its name: restart web, up, down-all; tab completes"),
        kubectl="pods, deploy, svc, any kind · ns NAME|all · ctx NAME · q; kubectl get KIND -n NAME",
        palette="command",
        written=":",
        priority=True,
    ),
    UserAction("yaml", "y", "yaml", OF_CLUSTER, kubectl="kubectl get KIND NAME -o yaml", kinds=ANY_KIND),
    UserAction("describe", "d", "describe", OF_CLUSTER, kubectl="kubectl describe KIND NAME", kinds=ANY_KIND),
    UserAction(
        *("owners", "o", "owners", OF_CLUSTER, "the tree of owners"), kubectl="kubectl tree KIND NAME", kinds=ANY_KIND
    ),
    UserAction(
        *("events", "e", "events", OF_CLUSTER),
        kubectl="kubectl events --watch",
        palette="events",
        words=("events", "ev"),
        synonyms=("event",),
    ),
    UserAction(
        *("hpa", "h", "hpa", OF_CLUSTER, "the autoscaler over time"), kubectl="kubectl get hpa --watch", kinds=ANY_KIND
    ),
    UserAction(
        *("rollout", "R", "rollout", OF_CLUSTER, "pods by stage"),
        kubectl="kubectl rollout status KIND/NAME",
        kinds=ROLLED,
    ),
    UserAction(
        *("undo", "B", "undo", OF_CLUSTER), kubectl="kubectl rollout undo KIND/NAME", kinds=ROLLED, takes_away=True
    ),
    UserAction(
        *("debug", "T", "debug", OF_CLUSTER),
        kubectl="kubectl debug -it POD --image=… -- sh",
        kinds=frozenset({"pod", "node"}),
    ),
    UserAction(
        *("previous", "p", "previous log", OF_CLUSTER, "of containers that were restarted"),
        kubectl="kubectl logs POD --previous",
        kinds=frozenset({"pod"}),
    ),
    UserAction(
        *("forward", "f", "forward", OF_CLUSTER),
        kubectl="kubectl port-forward KIND/NAME LOCAL:PORT",
        kinds=frozenset({"pod", "service", *SCALED}),
    ),
    UserAction(
        *("forwards", "F", "forwards", OF_CLUSTER, "the open port-forwards with their traffic"),
        palette="forwards",
        words=("forwards", "pf"),
    ),
    UserAction("edit", "E", "edit", OF_CLUSTER, kubectl="kubectl edit KIND/NAME", kinds=ANY_KIND),
    UserAction(
        *("evict", "ctrl+e", "evict", OF_CLUSTER, "heeds disruption budgets"),
        kubectl="the API's pods/NAME/eviction",
        kinds=frozenset({"pod"}),
        takes_away=True,
        written="^e",
    ),
    UserAction("cordon", "K", "cordon", OF_CLUSTER, kubectl="kubectl cordon|uncordon NODE", kinds=frozenset({"node"})),
    UserAction(
        *("follow", "C", "kubectl's context", OF_CLUSTER, "where somebody changed it"),
        kubectl="kubectl config current-context",
        palette="kubectl's context",
    ),
    UserAction(
        *("drain", "X", "drain", OF_CLUSTER),
        kubectl="kubectl drain NODE --ignore-daemonsets",
        kinds=frozenset({"node"}),
        takes_away=True,
    ),
    UserAction("services", group=OF_CLUSTER, words=("compose",), synonyms=("services!",)),
    UserAction("namespace", group=OF_CLUSTER, words=("ns",), synonyms=("namespace",), argument="NAME or all"),
    UserAction("context", group=OF_CLUSTER, words=("ctx",), synonyms=("context", "contexts"), argument="NAME"),
)
NO_KEYS: Final[Mapping[str, str]] = {}
BY_NAME: Final = {action.name: action for action in ACTIONS}
BY_WORD: Final = {word: action for action in ACTIONS for word in (*action.typed, *action.synonyms)}


def with_keys(chosen: Mapping[str, str]) -> tuple[UserAction, ...]:
    """Return the table with the keys that a user chose, by the names of actions."""
    return tuple(
        replace(
            one,
            key=chosen[one.name],
            written=chosen[one.name].replace("ctrl+", "^"),
            label=one.label or one.palette.replace(SERVICE, "a service") or one.name,
        )
        if one.name in chosen
        else one
        for one in ACTIONS
    )


def help_groups(
    known: Container[str], *, in_cluster: bool, chosen: Mapping[str, str] = NO_KEYS
) -> Iterator[tuple[str, list[Binding]]]:
    """Return the keys of the actions of these names, each in one group; `chosen` are those of the user."""
    actions = with_keys(chosen)
    for title in (OF_PROJECT, OF_CLUSTER, IN_VIEW):
        keys = [
            action.binding(in_cluster=in_cluster)
            for action in actions
            if action.key and action.name in known and group_of(action, in_cluster=in_cluster) == title
        ]
        if keys:
            yield title, keys


def group_of(action: UserAction, *, in_cluster: bool) -> str:
    """Return where help lists it: where there is a cluster, whatever kubectl has too is there."""
    return OF_CLUSTER if in_cluster and action.kubectl else action.group


def makes_sense(verb: str, resource: Resource) -> bool:
    """Whether an action does something to that container of Compose."""
    match verb:
        case "restart" | "recreate" | "delete":
            return resource.state not in (State.ABSENT, State.PROVIDED)
        case "start":
            return resource.state in (State.EXITED, State.CREATED, State.DEAD)
        case "pause":
            return resource.state in (State.RUNNING, State.PAUSED)
        case "shell":
            return resource.state is State.RUNNING
        case "scale" | "run" | "pull":
            return resource.state is not State.PROVIDED
    return verb in ("up", "up_alone", "build") or resource.state.is_up
