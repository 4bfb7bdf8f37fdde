"""Where the terminal is in a cluster: which context, which namespace, which kind; and what is watched there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

from devenv.core.errors import DevenvError
from devenv.tui.command_line import ALL
from devenv.tui.kube.session import ClusterSession, Connector
from devenv.tui.main_screen import MainScreen

if TYPE_CHECKING:
    from devenv.backends.kube.kinds import Kind
    from devenv.backends.kube.kubeconfig import Target

LOOK: Final = 5.0  # seconds between two looks at whether the kubeconfig was changed
Choice = tuple[str, str, str]  # the answer, how it is written, and what is said beside it


class Places(Protocol):
    """What shows the places."""

    def attach(self, session: ClusterSession) -> None:
        """Show a cluster where none was shown before."""
        ...

    def settle_in(self, session: ClusterSession) -> None:
        """Show another place of the cluster, or another cluster."""
        ...

    def show_kind(self, kind: str) -> None:
        """Show the objects of one kind; "" for the services."""
        ...

    def tell_context(self) -> None:
        """Show, or show no more, that the kubeconfig's current context is another one."""
        ...

    def tell_commands(self) -> None:
        """Show what can be typed: kinds, namespaces or contexts became known."""
        ...

    def choose(self, what: str, choices: Sequence[Choice], here: str, take: Callable[[str], None]) -> None:
        """Let the user choose one of several names."""
        ...


class Navigation:
    """Goes from one place to another; what has to wait for files or the network waits in a thread."""

    def __init__(self, screen: MainScreen, connector: Connector, view: Places) -> None:
        self._screen = screen
        self._connector = connector
        self.alone = connector.alone
        self._view = view
        self.session: ClusterSession | None = None  # once there is one, it stays for as long as the program runs
        self.all_namespaces = False
        self.kinds: tuple[Kind, ...] = ()
        self.namespaces: tuple[str, ...] = ()
        self.contexts: tuple[str, ...] = ()
        self._learned = False
        self._kind: Kind | None = None
        self._stamp: object = None
        self._current = ""
        self._problem = ""  # what was wrong with the kubeconfig at the last look
        self.elsewhere = ""  # the kubeconfig's current context, where somebody made it another one than ours

    def begin(self) -> None:
        """Look for the cluster to show, in a thread, and from then on whether the kubeconfig was changed."""
        self._thread("connect", self._connect)
        self._screen.set_interval(LOOK, self.look)

    def look(self) -> None:
        """Look, in a thread, whether the kubeconfig was changed: a cluster to show came, or the current context went.

        Where nothing was changed it costs the files' times. A cluster that is shown is never left by itself; one of
        minikube's that was started again, often at another port, is gone on with.
        """
        self._thread("kubeconfig", self._look)

    def _thread(self, group: str, work: Callable[[], None]) -> None:
        self._screen.run_worker(work, thread=True, group=group, exit_on_error=True)

    def _later(self, call: Callable[..., object], *arguments: object) -> None:
        self._screen.app.call_from_thread(call, *arguments)

    def _failed(self, error: DevenvError) -> None:
        hint = f" → {error.hint}" if error.hint else ""
        self._screen.changes.warn(f"{error.message}{hint}", "cluster")

    def _connect(self) -> None:
        connector = self._connector
        self._stamp = connector.stamp()
        try:
            self._current = connector.current()
            session = connector.connect()
        except DevenvError as error:
            self._later(self._failed, error)
            return
        if session is not None:
            self._later(self._attach, session)
        elif connector.alone:
            self._choose_context()

    def _attach(self, session: ClusterSession) -> None:
        if self.session is None:  # meanwhile a command may have opened one
            self._open(session)

    def _open(self, session: ClusterSession) -> None:
        self.session = session
        self._view.attach(session)
        self.watch()

    def _look(self) -> None:
        connector = self._connector
        stamp = connector.stamp()
        if stamp == self._stamp:
            return
        try:
            current = connector.current()
            session = connector.connect() if self.session is None else None
            again = self._started_again()
        except DevenvError as error:
            # The files may just be being written: only what is still wrong at the next look is reported.
            if self._problem != error.message:
                self._problem = error.message
                return
            self._later(self._failed, error)
        else:
            if session is not None:
                self._later(self._attach, session)
            elif current != self._current:
                self._later(self._noticed, current)
            self._current = current
            if again is not None:
                self._later(self._go_on, again)
        self._stamp, self._problem = stamp, ""

    def _started_again(self) -> Target | None:
        """Return where the shown cluster of minikube is now, if it was started again: its entries are new ones then."""
        session = self.session
        if session is None or session.target.context.flavour != "minikube":
            return None
        known = self._connector.contexts().find(session.target.context.name)
        moved = known is not None and known.flavour == "minikube" and known != session.target.context
        return replace(session.target, context=known) if known is not None and moved else None

    def _go_on(self, target: Target) -> None:
        session = self.session
        if session is not None and session.target.context.name == target.context.name:
            session.move(target)
            self._settle_in(session)

    def _noticed(self, current: str) -> None:
        session = self.session
        if session is not None:
            self.elsewhere = current if current != session.target.context.name else ""
            self._view.tell_context()

    def follow(self) -> None:
        """Go to the kubeconfig's current context."""
        if self.elsewhere:
            self.to_context(self.elsewhere)

    def stay(self) -> None:
        """Say no more that the kubeconfig's current context is another one."""
        self.elsewhere = ""
        self._view.tell_context()

    def watch(self) -> None:
        """Watch in the cluster what the table shows, and nothing else."""
        session = self.session
        if session is None:
            return
        from devenv.backends.kube import kinds as known

        workloads = (known.DEPLOYMENTS, known.REPLICA_SETS, known.STATEFUL_SETS, known.DAEMON_SETS, known.JOBS)
        kinds = [known.PODS, *workloads, known.HPAS, known.SERVICES, known.EVENTS]
        if self._kind is not None:
            kinds.append(self._kind)
        session.backend.watch_kinds(
            tuple(dict.fromkeys(kinds)), None if self.all_namespaces else session.target.namespace
        )

    def learn(self) -> None:
        """Ask in a thread which kinds, namespaces and contexts there are; the ones of every cluster are known."""
        if not self.kinds:
            from devenv.backends.kube.kinds import KNOWN

            self.kinds = KNOWN
        session = self.session
        if not self._learned:
            self._learned = True
            self._thread("learn", lambda: self._ask(session))

    def _ask(self, session: ClusterSession | None) -> None:
        try:
            contexts = tuple(context.name for context in self._connector.contexts().all)
            kinds = session.kinds() if session is not None else self.kinds
            namespaces = session.namespaces() if session is not None else ()
        except DevenvError as error:
            self._learned = False
            self._later(self._failed, error)
            return
        self._later(self._know, contexts, kinds, namespaces)

    def _know(self, contexts: tuple[str, ...], kinds: tuple[Kind, ...], namespaces: tuple[str, ...]) -> None:
        self.contexts, self.kinds, self.namespaces = contexts, kinds, namespaces
        self._view.tell_commands()

    def to_kind(self, word: str, namespace: str = "") -> None:
        """Show the objects of a kind by any of its names; those of every cluster need no discovery."""
        from devenv.backends.kube.errors import KubeError
        from devenv.backends.kube.kinds import KNOWN, find_kind

        session = self.session
        if session is None:
            self._screen.changes.warn("No cluster is open: :ctx NAME opens one.", word)
            return
        try:
            kind = find_kind(word, self.kinds or KNOWN)
        except KubeError as error:
            if self._learned:
                self._failed(error)
            else:
                self._thread("learn", lambda: self._find(session, word, namespace))
            return
        self._show(kind, namespace)

    def _find(self, session: ClusterSession, word: str, namespace: str) -> None:
        from devenv.backends.kube.kinds import find_kind

        try:
            kinds = session.kinds()
            kind = find_kind(word, kinds)
        except DevenvError as error:
            self._later(self._failed, error)
            return
        self._later(self._show, kind, namespace)

    def _show(self, kind: Kind, namespace: str) -> None:
        if namespace:
            self.to_namespace(namespace)
        self._kind = kind
        self._view.show_kind(kind.name.lower())
        self.watch()

    def to_services(self) -> None:
        """Go back from a kind to the services."""
        self._kind = None
        self._view.show_kind("")
        self.watch()

    def to_namespace(self, name: str) -> None:
        """Go to a namespace, to all of them, or (without a name) let the user choose."""
        session = self.session
        if session is None:
            self._screen.changes.warn("No cluster is open: choose one, then its namespace.", "namespace")
            self.to_context("")
        elif not name:
            self._thread("choose", lambda: self._choose_namespace(session))
        elif name == ALL:
            self.all_namespaces = True
            self._settle_in(session)
        else:
            self.all_namespaces = False
            session.move(replace(session.target, namespace=name))
            self._settle_in(session)

    def _settle_in(self, session: ClusterSession) -> None:
        self._view.settle_in(session)
        self.watch()

    def _choose_namespace(self, session: ClusterSession) -> None:
        try:
            names = session.namespaces()
        except DevenvError as error:
            self._later(self._failed, error)
            return
        here = ALL if self.all_namespaces else session.target.namespace
        choices = [(ALL, ALL, "every namespace"), *((name, name, "") for name in names)]
        self._later(self._view.choose, "namespace", choices, here, self.to_namespace)

    def to_context(self, name: str) -> None:
        """Go to a context, or (without a name) let the user choose."""
        if name:
            self._thread("connect", lambda: self._find_place(name))
        else:
            self._thread("choose", self._choose_context)

    def _choose_context(self) -> None:
        try:
            known = self._connector.contexts()
        except DevenvError as error:
            self._later(self._failed, error)
            return
        may = self._connector.may_change
        choices = [
            (
                info.name,
                info.name,
                info.problem or f"{info.flavour or info.server}{'' if may(info.name) else '  READ-ONLY'}",
            )
            for info in known.all
        ]
        session = self.session
        here = session.target.context.name if session is not None else known.current
        self._later(self._view.choose, "context", choices, here, self.to_context)

    def _find_place(self, name: str) -> None:
        try:
            if self.session is None:
                self._later(self._open, self._connector.open(name))
                return
            target = self._connector.target(name)
        except DevenvError as error:
            self._later(self._failed, error)
            return
        self._later(self._arrive, target)

    def _arrive(self, target: Target) -> None:
        session = self.session
        assert session is not None  # the caller looked, and it stays
        self.all_namespaces = False
        session.move(target)
        self._learned = False
        self.kinds = ()
        self._settle_in(session)
        self.stay()
