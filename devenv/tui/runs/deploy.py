"""A deployment in the terminal: what it would change, the question, its stages as they go, and the way back.

Imported when somebody first wants to deploy something, not with the program.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar, Final

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from devenv.control.deploy.outcome import Result, Status
from devenv.control.protocol import Plan
from devenv.core.errors import DevenvError
from devenv.core.text import human_duration
from devenv.runs.deployment import Deploys, DeployState
from devenv.runs.identity import StreamedRun
from devenv.tui.dialogs import ConfirmScreen, PickerScreen, Question
from devenv.tui.main_screen import MainScreen
from devenv.tui.runs.frame import Runs, RunScreen
from devenv.tui.safe_text import Part, safe, safe_lines
from devenv.tui.widgets.bars import Line
from devenv.tui.widgets.text_pane import ViewScroll

CHANGES_SHOWN: Final = 12  # in the question
_SIGNS: Final = {
    Status.DONE: ("✓", "$success"),
    Status.FAILED: ("✗", "$error"),
    Status.INCONCLUSIVE: ("?", "$warning"),
    Status.SKIPPED: ("–", "$quiet"),
}
_TONES: Final = {Result.SUCCEEDED: "$success", Result.PLANNED: "$success", Result.APPLIED: "$success"} | {
    Result.FAILED: "$error"
}


class DeployRuns(Runs):
    """Follows deployments, one at a time: first what one would change, then, once that was confirmed, itself."""

    LOOK = 0.2
    KEY = "Y"

    def __init__(self, app: App[int], main: Callable[[], MainScreen], deploys: Deploys) -> None:
        super().__init__(app, main)
        self.state: DeployState | None = None
        self._deploys = deploys
        self._run: StreamedRun | None = None
        self.failed: Callable[[], None] = lambda: None  # called when one ended, and not well
        main().changes.before_leaving.append(self._asks)

    @property
    def goes_on(self) -> bool:
        """Whether one has not ended yet."""
        return self.state is not None and not self.state.over

    def ask(self, overlay: str) -> None:
        """Show the last one, or begin with an overlay: the one that is named, else one that is chosen."""
        if self.goes_on or (not overlay and self.state is not None):
            self.app.push_screen(DeployScreen(self))
        elif overlay:
            self.begin(overlay)
            self.app.push_screen(DeployScreen(self))
        else:
            self.choose()

    def choose(self) -> None:
        """Let the user choose an overlay."""
        if not self._deploys.overlays:
            hint = "Name one there: [manifests.overlays.NAME] path = ...; or its folder here: :deploy FOLDER"
            self.main.changes.explain("deploy is not possible", "devenv.toml names no overlay", hint)
            return
        offered = [(name, name, "") for name in self._deploys.overlays]
        self.app.push_screen(
            PickerScreen("overlay to deploy", offered, ""), lambda name: self.ask(name) if name else None
        )

    def begin(self, overlay: str, *words: str) -> None:
        """Find out what a deployment would change, in the cluster that is shown."""
        place = self.main.controller.cluster_place()
        where = ("--context", place[0].context.name) if place is not None else ()
        self._start(overlay, *where, *words, "--dry-run")

    def _start(self, *words: str) -> None:
        if self.goes_on:
            return
        try:
            self._run = self._deploys.start((*words, "--json"))
        except DevenvError as error:
            self.main.changes.impossible("deploy", error)
            return
        self.state = DeployState(words, time.time())
        self._begin_looking()
        self._tell()

    def cancel(self) -> None:
        """Interrupt it; what it did until then stays, and its last words say what that is."""
        if self._run is not None and self.state is not None and self._run.cancel():
            self.state.cancelled = True
            self._tell()

    def _look(self) -> None:
        run, state = self._run, self.state
        if run is None or state is None:
            return
        code = run.exit_code  # before the last lines are read, or they might be missed
        state.take(run.drain(), time.time())
        if code is not None:
            state.end(code, time.time(), run.last_words())
            run.close()
            self._run = None
            self._end_looking()
            if self._leaving:
                self.app.exit(0)
                return
            if state.is_plan and state.result == Result.PLANNED and not state.cancelled:
                self._confirm(state)
            elif code and not state.cancelled:
                self.failed()
        self._tell()

    def _confirm(self, state: DeployState) -> None:
        """Ask whether what it would change is meant, then do it."""
        changes = state.changes
        more = [f"and {len(changes) - CHANGES_SHOWN} more"] if len(changes) > CHANGES_SHOWN else []
        sentences = changes[:CHANGES_SHOWN] + more or ["No object changes; it is looked at whether it serves."]
        where = f"{state.overlay} in {state.outcome['namespace']} of {state.outcome['context']}"
        verb = "go back" if "--back" in state.words else "deploy"
        if verb == "deploy":
            sentences.append("Images are built and loaded first where that is needed: their tags change then, too.")
        plan = Plan(verb, (where,), needs_confirmation=True, sentences=tuple(sentences))
        words = tuple(word for word in state.words if word != "--dry-run")
        self.main.changes.offer(plan, request=lambda _: self._start(*words, *self._deploys.proof, "--yes"))

    def _bar_parts(self) -> Sequence[Part]:
        assert self.state is not None  # one is followed
        return *summary_parts(self.state, time.time()), ("  Y", "bold $primary"), (" shows it", "$quiet")

    def _ask_before_leaving(self) -> None:
        title = f"{self.state.overlay if self.state is not None else ''} is still being deployed"
        sentences = (
            "It goes on when devenv is left, and goes back by itself where it fails: devenv history has its end.",
            "To interrupt it, cancel it first (x on its screen).",
        )
        asked = Question(title, sentences, yes="leave it to itself and quit")
        self.app.push_screen(ConfirmScreen(asked), lambda yes: self._leave(at_once=True) if yes else None)


class DeployScreen(RunScreen):
    """Shows the deployment that goes on or the last one; leaving it changes nothing about it."""

    AUTO_FOCUS = "ViewScroll"
    KEYS_TITLE = "Deployment"
    KEY_GROUPS = (("Stages", ViewScroll),)
    DEFAULT_CSS = """
    DeployScreen { background: $background; color: $foreground; layout: vertical; }
    DeployScreen > Line { background: $bar; }
    DeployScreen FooterBar { background: $bar; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,Y", "back", "back", key_display="Esc", tooltip="the deployment goes on", id="deploy.back"),
        Binding("x", "cancel", "cancel", tooltip="what it did until then stays", id="deploy.cancel"),
        Binding("a", "again", "again", tooltip="asks, with what it changes", id="deploy.again"),
        Binding("n", "other", "another overlay", id="deploy.other"),
        Binding("B", "undo", "go back", tooltip="to the revision before; asks", id="deploy.undo"),
        Binding("q", "app.quit", "quit", tooltip="asks while a deployment goes on", id="deploy.quit"),
        Binding("question_mark", "help", "help", key_display="?", id="deploy.help"),
    ]

    def __init__(self, runs: DeployRuns) -> None:
        super().__init__()
        self.runs = runs
        self.title_line = Line()
        self.body = Static(markup=False)

    def compose(self) -> ComposeResult:
        """Put how it stands above its stages."""
        yield self.title_line
        with ViewScroll():
            yield self.body
        yield self.footer

    def on_mount(self) -> None:
        """Show what there is."""
        super().on_mount()
        self.runs.seen()
        self.tell()
        self.set_interval(1.0, self.tell)

    def shows(self, runs: Runs) -> bool:
        """Whether it is about the deployments that these are."""
        return runs is self.runs

    def tell(self) -> None:
        """Show how it stands; only what changed is drawn."""
        state = self.runs.state
        if state is not None:
            now = time.time()
            self.title_line.say((" deploy ", "bold reverse"), (" ", ""), *summary_parts(state, now))
            self.draw(self.body, list(stage_parts(state, now)))
            self.offer_keys((state.over, state.cancelled))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what makes sense now."""
        if action == "cancel":
            return self.runs.goes_on and self.runs.state is not None and not self.runs.state.cancelled
        return not self.runs.goes_on if action in ("again", "other", "undo") else True

    def action_back(self) -> None:
        """Go to the main screen; the deployment goes on."""
        self.runs.seen()
        self.app.pop_screen()

    def action_cancel(self) -> None:
        """Interrupt it."""
        self.runs.cancel()

    def action_again(self) -> None:
        """Deploy the same overlay."""
        if self.runs.state is not None:
            self.runs.begin(self.runs.state.overlay)

    def action_other(self) -> None:
        """Deploy another overlay."""
        self.app.pop_screen()
        self.runs.choose()

    def action_undo(self) -> None:
        """Bring back the revision before the last."""
        if self.runs.state is not None:
            self.runs.begin(self.runs.state.overlay, "--back")


def summary_parts(state: DeployState, now: float) -> list[Part]:
    """Return how it stands, in words: for the screen's title and the line on the main screen."""
    what = f"{safe(state.overlay)}{', back' if '--back' in state.words else ''}: "
    took = human_duration(max(0, int((state.ended or now) - state.began)))
    if not state.over:
        word = "being cancelled" if state.cancelled else "looks what changes" if state.is_plan else "deploys"
        stage = f"{state.running} " if state.running else ""
        return [(f"◐ {what}{word} ", "bold $accent"), (f"{stage}{took}", "")]
    result = "cancelled" if state.cancelled else state.result
    parts: list[Part] = [(f"{what}{result} ", f"bold {_TONES.get(Result(state.result), '$warning')}"), (took, "")]
    if state.outcome:
        place = f"{state.outcome['namespace']} in {state.outcome['context']}, revision {state.outcome['revision']}"
        parts.append((f"  {safe(place)}", "$quiet"))
    return parts


def stage_parts(state: DeployState, now: float) -> Iterator[tuple[str, str]]:
    """Yield what each stage did, what the running one waits for, and at the end why it went as it did."""
    for stage in state.stages:
        sign, tone = _SIGNS[stage.status]
        took = human_duration(stage.seconds) if stage.status is not Status.SKIPPED else ""
        first = next(iter(safe_lines(stage.text)), "")
        yield f"{sign} ", tone
        yield f"{safe(stage.name):<12}{took:>10}  ", "bold" if stage.status is not Status.SKIPPED else "$quiet"
        yield f"{first}\n", tone if stage.status is Status.FAILED else "$quiet"
        for detail in stage.details:
            yield f"{'':<26}{safe(detail)}\n", "$quiet"
    if state.running:
        yield "◐ ", "$accent"
        yield f"{safe(state.running):<12}{human_duration(int(now - state.running_since)):>10}\n", "bold $accent"
        for words in state.waiting:
            yield f"{'':<26}{safe(words)}\n", "$quiet"
    if not state.over:
        return
    reason, hint = (str(state.outcome.get(key, "")) for key in ("reason", "hint"))
    for line in safe_lines(reason or ("" if state.outcome else state.last_words)):
        yield f"\n{line}", "$error" if state.result == Result.FAILED else "$warning"
    for line in safe_lines(hint):
        yield f"\n→ {line}", "$accent"
    for note in state.outcome.get("notes", ()):
        yield f"\nnote: {safe(note)}", "$quiet"
    if state.changes:
        head = "what it would change" if state.result == Result.PLANNED else "what it changed"
        yield f"\n\n{head}\n", "bold"
        yield "\n".join(f"  {safe(change)}" for change in state.changes), "$quiet"
