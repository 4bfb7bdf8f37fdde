"""minikube in the terminal: a line that says how its cluster is, and the acts on it, offered where they make sense."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from devenv.control.kube.minikube import MinikubeControl
from devenv.core.errors import DevenvError
from devenv.core.model import Action, Phase
from devenv.core.text import human_bytes
from devenv.tui.safe_text import safe
from devenv.tui.widgets.bars import Line

if TYPE_CHECKING:
    from textual.app import App

    from devenv.backends.clusters import Profile
    from devenv.control.protocol import Plan
    from devenv.tui.main_screen import MainScreen

LOOK: Final = 5.0  # seconds between two looks whether somebody did something to the cluster; each is two files' times
_RUNNING: Final = frozenset({"Running", "OK", "HAppy"})  # minikube 1.34 and newer say OK, of several nodes HAppy
_MEANING: Final = {
    "start": "",
    "stop": "its data stay",
    "pause": "its processes are frozen",
    "unpause": "its processes go on",
    "addons": "enable one, or disable it",
    "image": "load one of this project into the cluster",
    "delete": "the cluster with all data in it",
}
_Answer = TypeVar("_Answer")


class Minikube:
    """The cluster of the profile that the settings choose, beside the main screen of the moment."""

    def __init__(self, app: App[int], main: Callable[[], MainScreen], control: MinikubeControl) -> None:
        self._app = app
        self._main = main
        self._control = control
        self._line: Line | None = None
        self._name = ""
        self._profile: Profile | None = None
        self._stamp: object = None
        self._acting: set[int] = set()
        self.ended: Callable[[], object] = lambda: None  # called when an act has ended: a cluster may have come

    def begin(self) -> None:
        """Look how the cluster is, and from then on whether that was changed."""
        self._look()
        self._app.set_interval(LOOK, self._look_again)

    @property
    def state(self) -> str:
        """How it is, in one word."""
        if self._profile is None:
            return "no cluster"
        return "running" if self._profile.status in _RUNNING else self._profile.status.lower()

    def take(self, actions: Iterable[Action]) -> None:
        """Look anew when an act has ended."""
        for action in actions:
            if action.verb.startswith("minikube "):
                if action.phase in (Phase.REQUESTED, Phase.RUNNING):
                    self._acting.add(action.id)
                else:
                    self._acting.discard(action.id)
                    self._look()
                    self.ended()

    def tell(self) -> None:
        """Show how the cluster is; one that runs is shown by what is in it."""
        main = self._main()
        if self._line is None or not self._line.is_attached:
            self._line = Line(id="minikube")
            main.mount(self._line, after=main.header)
        self._line.display = self._profile is not None and self.state != "running"
        if self._profile is not None:
            tone = "$warning" if self.state in ("stopped", "paused") else "$error"
            size = f"{self._profile.cpus} CPUs, {human_bytes(self._profile.memory)}" if self._profile.cpus else ""
            about = ", ".join(filter(None, (self._profile.driver, size)))
            name = "minikube" if self._name == "minikube" else f"minikube {self._name}"
            parts = [(f" ⎈ {safe(name)}", "bold"), (f"  {safe(self.state)}", tone)]
            self._line.say(*parts, (f"  {safe(about)}  ", "$quiet"), (":minikube", "bold $primary"))

    def ask(self, argument: str = "") -> None:
        """Do what was typed, else let the user choose one of what makes sense now."""
        words = argument.split()
        if words and words[0] not in _MEANING:
            self._main().changes.warn(f"In a shell: devenv minikube {argument}", "minikube")
        elif not words:
            self._look(self._choose)
        elif words == ["addons"]:
            self._find(lambda: self._control.addons(self._name), self._choose_addon)
        elif words == ["image"]:
            self._choose_image()
        else:
            self._find(lambda: self._control.plan(*words), self._offer)

    def _look_again(self) -> None:
        if not self._acting and self._name and self._control.stamp(self._name) != self._stamp:
            self._look()

    def _look(self, then: Callable[[], object] | None = None) -> None:
        def know(answer: tuple[str, Profile | None, object]) -> None:
            self._name, self._profile, self._stamp = answer
            self.tell()
            if then is not None:
                then()

        self._find(self._control.look, know, asked=then is not None)

    def _find(self, find: Callable[[], _Answer], take: Callable[[_Answer], object], *, asked: bool = True) -> None:
        """Ask something in a thread; why there is no answer is said where somebody wants to know."""

        def work() -> None:
            try:
                answer = find()
            except DevenvError as error:
                if asked:
                    self._app.call_from_thread(self._main().changes.impossible, "minikube", error)
            else:
                self._app.call_from_thread(take, answer)

        self._app.run_worker(work, thread=True, group="minikube")

    def _choose(self) -> None:
        there = {"no cluster": ("start",), "running": ("stop", "pause", "addons", "image", "delete")}
        paused = ("unpause", "stop", "delete") if self.state == "paused" else ("start", "stop", "delete")
        size = self._control.new_size or "as minikube itself makes it"
        start = f"makes a cluster: {size}" if self._profile is None else f"it is {self.state}"
        meaning = {**_MEANING, "start": start}
        self._pick(
            f"act on {self._name} ({self.state})", {act: meaning[act] for act in there.get(self.state, paused)}, ""
        )

    def _choose_addon(self, known: Mapping[str, bool]) -> None:
        offered = {
            f"{'disable' if on else 'enable'} {name}": "enabled" if on else ""
            for name, on in sorted(known.items(), key=lambda item: not item[1])
        }
        self._pick(f"addon of {self._name}", offered, "addons ")

    def _choose_image(self) -> None:
        images = dict.fromkeys((one.image for one in self._main().board.compose.values() if one.image), "")
        if images:
            self._pick(f"image to load into {self._name}", images, "image load ")
        else:
            self._main().changes.warn("No service of this project has an image yet.", "minikube image load")

    def _pick(self, what: str, offered: Mapping[str, str], before: str) -> None:
        from devenv.tui.dialogs import PickerScreen

        picker = PickerScreen(what, [(name, name, remark) for name, remark in offered.items()], "")
        self._app.push_screen(picker, lambda name: self.ask(f"{before}{name}") if name else None)

    def _offer(self, plan: Plan) -> None:
        changes = self._main().changes
        changes.cancels["minikube"] = self._control.cancel
        reach: Any = self._control.reach if plan.verb == "minikube delete" else None
        changes.offer(plan, reach, self._control.request)
