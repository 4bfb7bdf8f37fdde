"""The terminal: wires a backend and a control to the screen. It paints first and imports the rest afterwards."""

from __future__ import annotations

import gc
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path, PurePath
from typing import IO, TYPE_CHECKING, Any, ClassVar, Final, Protocol, cast

from textual import events, on
from textual.app import App
from textual.binding import Binding, BindingType
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from devenv.control.protocol import ProjectControl
from devenv.core.errors import DevenvError
from devenv.core.model import Change
from devenv.core.settings import Config, TerminalSettings
from devenv.core.signals import heed_lost_interrupt
from devenv.tui import theme as themes
from devenv.tui.action_table import NO_KEYS
from devenv.tui.compose_controller import ComposeController
from devenv.tui.feed import Feed, Source
from devenv.tui.first_paint import ENTER, EarlyScreen
from devenv.tui.header import has_crashed
from devenv.tui.main_screen import MainScreen
from devenv.tui.safe_text import safe
from devenv.tui.theme import ThemeChoice

if TYPE_CHECKING:
    from textual.command import Provider
    from textual.timer import Timer

    from devenv.backends.protocol import Backend
    from devenv.control.commands import CommandControl
    from devenv.control.kube.minikube import MinikubeControl
    from devenv.core.command_settings import CommandSettings
    from devenv.load.runner import KnownRun, MakeRunner
    from devenv.runs.deployment import Deploys
    from devenv.tui.diagnostics import Answering
    from devenv.tui.kube.minikube import Minikube
    from devenv.tui.kube.session import Connector
    from devenv.tui.runs.deploy import DeployRuns
    from devenv.tui.runs.load import LoadRuns
    from devenv.tui.runs.verify import VerifyRuns
    from devenv.verify.runner import Launch
    from devenv.watch.background import BackgroundWatch

    FindCluster = Callable[[], Connector | None]
    FindMinikube = Callable[[], MinikubeControl | None]

KEY_WITHIN: Final = 0.5  # seconds that the next key waits where a handler awaits something else
LOOK: Final = 5.0  # seconds between two looks whether a cluster came; each reads some files' times
SETTINGS_LOOK: Final = 2.0  # seconds between two looks whether devenv.toml was changed; each is one stat
CLUSTER_MODE: Final = "cluster"
NO_COMMANDS: Final[Mapping[str, CommandSettings]] = {}
NOTHING_SET: Final = TerminalSettings(ring="off")


def _palette() -> type[Provider]:
    from devenv.tui.dialogs import ScreenCommands

    return ScreenCommands


class Output:
    """What is shown, also where the terminal is gone.

    The thread that writes would end at the first error, and who hands it more than its queue takes would wait for ever.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self.fileno = file.fileno

    def write(self, text: str) -> None:
        """Write, where there is a terminal."""
        with suppress(OSError):
            self._file.write(text)

    def flush(self) -> None:
        """Hand on what was written, where there is a terminal."""
        with suppress(OSError):
            self._file.flush()


class Terminal(LinuxDriver):
    """The terminal that is given back, and taken again, whatever stopped the program.

    SIGSTOP is not heard. At the SIGCONT after it Textual 8.2 would take the terminal once more beside itself: two
    threads would read the keys, and it would not end; and its own modes of the terminal would pass for the user's.
    """

    _is_entered = False  # the other screen, by who showed something before

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if self._file is not None:
            self._file = cast("Any", Output(self._file))  # all of a file that is used

    def start_application_mode(self) -> None:
        """Take the terminal, also as it is where a first picture is shown on it already."""
        app = self._app
        before = app.early.hand_over() if isinstance(app, DevenvApp) and app.early is not None else None
        self._is_entered = before is not None
        super().start_application_mode()  # type: ignore[no-untyped-call]  # Textual's has no annotation
        if before is not None:
            self.attrs_before = before

    def write(self, data: str) -> None:
        """Write. A screen that was entered already is not entered again: that could clear it."""
        if self._is_entered and data == ENTER:
            self._is_entered = False
        else:
            super().write(data)

    def close(self) -> None:
        """End the threads, also the one that reads keys, from whose end a second signal may have called away."""
        self.exit_event.set()
        if self._key_thread is not None:
            self._key_thread.join()
        self.exit_event.clear()  # it may be taken again
        super().close()

    def _sigcont_application(self, *_: object) -> None:
        if self._must_signal_resume or not self._auto_restart:
            super()._sigcont_application()
        elif self._loop.is_running():
            self._loop.call_soon_threadsafe(self._take_again)

    def _take_again(self) -> None:
        if self._app.is_running:
            self.suspend_application_mode()
            self._must_signal_resume = True
            self.resume_application_mode()


class BenchTrace:
    """Moments for the benchmarks: JSON lines in the file that DEVENV_BENCH_MARKS names; without one, nothing at all."""

    def __init__(self, path: str | None) -> None:
        self._path = Path(path) if path else None
        self._once: set[str] = set()

    @property
    def is_on(self) -> bool:
        """Whether somebody measures."""
        return self._path is not None

    def write(self, mark: str) -> None:
        """Write a moment: `t` in seconds since the epoch, `monotonic` in those of CLOCK_MONOTONIC."""
        if self._path is None:
            return
        import json  # only where somebody measures

        line = json.dumps({"mark": mark, "t": time.time(), "monotonic": time.monotonic()})
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    def write_once(self, mark: str) -> None:
        """Write a moment the first time only."""
        if mark not in self._once:
            self._once.add(mark)
            self.write(mark)


class SettingsFile(Protocol):
    """devenv.toml while the terminal is open."""

    def changed(self) -> bool:
        """Whether it is another one than at the last look; cheap."""
        ...

    def read(self) -> Config:
        """Read it again; raises DevenvError where something is wrong in it."""
        ...


class Typed(Message):
    """Follows a key on its way, from the widget with the focus up to the app: behind it, what the key did is done."""

    def __init__(self, key: events.Key, rounds: int) -> None:
        super().__init__()
        self.key = key
        self.rounds = rounds


class DevenvApp(App[int]):
    """The program in the terminal. Its return value is the exit code."""

    TITLE = "devenv"
    CSS_PATH: ClassVar[list[str | PurePath]] = [
        "widgets/resource_table.tcss",
        "logs/pane.tcss",
        "main_screen.tcss",
    ]
    COMMANDS: ClassVar = {_palette}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+z", "suspend_process", "suspend", show=False, system=True, id="suspend"),
    ]

    def __init__(
        self,
        backend: Backend,
        control: ProjectControl,
        *,
        title: str = "",
        theme: ThemeChoice = "auto",
        verify: Launch | None = None,
        verify_at_once: tuple[str, ...] | None = None,
        load: MakeRunner | None = None,
        load_at_once: bool = False,
        deploy: Callable[[], Deploys] | None = None,
        watch: Callable[[], BackgroundWatch] | None = None,
        cluster: Connector | None = None,
        find_cluster: FindCluster | None = None,
        find_minikube: FindMinikube = lambda: None,
        probe_paths: Callable[[], Mapping[str, str]] = dict,
        settings: TerminalSettings = NOTHING_SET,
        keys: Mapping[str, str] = NO_KEYS,
        settings_file: SettingsFile | None = None,
        commands: Mapping[str, CommandSettings] = NO_COMMANDS,
        command_control: Callable[[], CommandControl] | None = None,
        project: str = "",
        early: EarlyScreen | None = None,
    ) -> None:
        self.early = early
        super().__init__(driver_class=Terminal)
        self._settings = settings
        self._settings_file = settings_file
        self._commands = commands
        self._make_command_control = command_control
        self._command_control: CommandControl | None = None  # from the first time that there are commands
        self._project = project
        self._crashed: set[str] = set()
        self._backend, self._control = backend, control
        self._make_runner = load
        self._load_at_once = load_at_once
        self._load_runs: LoadRuns | None = None
        self._make_deploys = deploy
        self._deploy_runs: DeployRuns | None = None
        self._find_cluster = find_cluster if cluster is None else None
        self._looking: Timer | None = None
        self._find_minikube = find_minikube
        self._minikube: Minikube | None = None  # where it is installed
        self._minikube_control: MinikubeControl | None = None
        self._answering: Answering | None = None  # what this terminal uses itself
        self._launch = verify
        self._verify_at_once = verify_at_once
        self._verify_runs: VerifyRuns | None = None
        self.animation_level = "none"
        for ours in themes.OURS:
            self.register_theme(ours)
        self.theme = themes.choose(settings.theme if theme == "auto" else theme, os.environ)
        self._theme_before = self.theme
        self.stylesheet.set_variables(self.get_css_variables())
        self._css_is_new = True
        if cluster is None:
            self.main: MainScreen = MainScreen(
                backend, control, title, lambda screen: ComposeController(screen, control)
            )
            self._parts: tuple[Source, ...] = (backend, control)
        else:
            from devenv.tui.kube.controller import cluster_screen

            self.main, readers, changers = cluster_screen(backend, control, title, cluster)
            self._parts = (readers, changers)
        self.feed = Feed(self._parts, self._deliver)
        self.main.probe_paths = probe_paths
        self.main.board.services.choose_columns(settings.columns)
        self.chosen_keys = keys  # by the names of actions, and the ids of other bindings
        if keys:
            self.set_keymap(dict(keys))
        self._keys: deque[events.Key] = deque()  # typed and not done yet; the first one is under way
        self._hears_keys = False  # once all that keys lead to is there
        self.fault: Exception | None = None
        self._make_watch = watch
        self._watch: BackgroundWatch | None = None  # from the first time that somebody asked for it
        self.main.before_first_frame = self._take_known
        self.bench_trace = BenchTrace(os.environ.get("DEVENV_BENCH_MARKS"))

    def _sources(self) -> tuple[Source, ...]:
        return (
            *self._parts,
            *(one for one in (self._watch, self._command_control, self._minikube_control) if one is not None),
        )

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Give themes that are not ours a value for our variables."""
        return dict(themes.DEFAULTS)

    def refresh_css(self, animate: bool = True) -> None:
        """Parse the style sheets anew; not at the start, when Textual asks for it though the theme is in them."""
        if self._css_is_new:
            self._css_is_new = False
            return
        super().refresh_css(animate)

    def get_default_screen(self) -> MainScreen:
        """Open with the main screen."""
        return self.main

    def on_unmount(self) -> None:
        """Answer nobody any more."""
        if self._answering is not None:
            self._answering.close()

    async def on_event(self, event: events.Event) -> None:
        """Take one key after the other: each is where it goes to before the next one is looked at.

        In Textual 8.2 a key goes to a queue of the widget that has the focus, and from there back to the app's, where
        its action runs: of keys that come in one burst, the later ones would overtake it, and go where the focus was.
        """
        if isinstance(event, events.Key) and not event.is_forwarded:
            self.feed.hold()
            self._keys.append(event)
            if len(self._keys) == 1 and self._hears_keys:
                await self._press(event)
        else:
            await super().on_event(event)

    async def _press(self, key: events.Key) -> None:
        if not self.screen_stack:  # the program ends
            return
        on = self.focused or self.screen
        if on is not self.main.table:  # what a key does in the log is for that of the line under the cursor
            self.main.catch_up()
        await super().on_event(key)
        self.set_timer(KEY_WITHIN, partial(self._key_done, key))
        # Twice: what a key changed in an input is told behind the first.
        if not on.post_message(Typed(key, 2)):
            self._key_done(key)

    def on_typed(self, message: Typed) -> None:
        """Let the key's own changes go round once more, then take the next key."""
        on = (self.focused or self.screen) if self.is_running and self.screen_stack else None
        if on is None or message.rounds == 1 or not on.post_message(Typed(message.key, message.rounds - 1)):
            self._key_done(message.key)

    def _key_done(self, key: events.Key) -> None:
        if self._keys and self._keys[0] is key:
            self._keys.popleft()
            if self._keys:
                self.call_next(self._press, self._keys[0])

    def copy_to_clipboard(self, text: str) -> None:
        """Copy by OSC 52, which also works through ssh, and into the desktop's own clipboard where there is one."""
        from devenv.tui.logs.export import to_clipboard

        super().copy_to_clipboard(text)
        self.run_worker(partial(to_clipboard, text), thread=True, group="clipboard")

    def on_resize(self) -> None:
        """Paint everything: a terminal that changed its size and back in a moment has lost what was on it."""
        self.screen.refresh()

    def on_ready(self) -> None:
        """Begin to read once the first frame is on the terminal."""
        self.main.call_after_refresh(self._begin)

    async def _begin(self) -> None:
        self.bench_trace.write_once("first_paint")
        if self.early is not None:
            main, variables, system = self.main, self.get_css_variables(), self.console.color_system
            self.early.look(main.table, main.header.rich_style, variables, system, in_cluster=main.in_cluster)
        self.feed.start()
        await self.main.furnish()
        self.main.verifies, self.main.loads = self._launch is not None, self._make_runner is not None
        self.main.watches, self.main.deploys = self._make_watch is not None, self._make_deploys is not None
        self.main.dispatcher.arguments["deploy"] = self._overlays
        self.main.refresh_bindings()
        if self._project:
            from devenv.tui.remembered import restore

            restore(self.main, self._project, self._settings)
            from devenv.tui.diagnostics import Answering

            self._answering = Answering(self.feed, self._project)
            await self._answering.open()
        if self._verify_at_once is not None:
            self.open_verify()
        if self._load_at_once:
            self.open_load()
        if self._make_runner is not None:
            self.run_worker(self._look_for_load, thread=True, group="load")
        if self._find_cluster is not None:
            self._looking = self.set_interval(LOOK, self.look_for_cluster)
        self.choose_commands(self._commands)
        self._look_for_minikube()
        self._hears_keys = True
        if self._keys:
            self.call_next(self._press, self._keys[0])
        if self._settings_file is not None:
            self.set_interval(SETTINGS_LOOK, self.look_at_settings)
        gc.freeze()  # what was loaded stays; the collector need not walk it again
        gc.enable()

    def look_at_settings(self) -> None:
        """Let what was changed in devenv.toml hold; where something is wrong in it, tell that and stay."""
        file = self._settings_file
        if file is None or not file.changed():
            return

        def read() -> None:
            try:
                config = file.read()
            except DevenvError as error:
                kept = "devenv.toml: what it said before holds on"
                self.call_from_thread(self.main.changes.explain, kept, error.message, error.hint)
            else:
                self.call_from_thread(self._take_settings, config)

        self.run_worker(read, thread=True, group="settings", exclusive=True)

    def _take_settings(self, config: Config) -> None:
        before, self._settings = self._settings, config.terminal
        if config.terminal.theme != before.theme:
            self.theme = self._theme_before = themes.choose(config.terminal.theme, os.environ)
        if config.terminal.columns != before.columns:
            self.main.board.services.choose_columns(config.terminal.columns)
        self.chosen_keys = config.keys
        self.set_keymap(dict(config.keys))
        self.choose_commands(config.commands)
        self.main.refresh_bindings()
        self.main.refresh_rows()
        self.main.notify("its settings hold now", title="devenv.toml was read again", timeout=4, markup=False)

    def choose_commands(self, commands: Mapping[str, CommandSettings]) -> None:
        """Offer these commands of the user's own."""
        self._commands = commands
        if self._make_command_control is None or not (commands or self.main.dispatcher.own):
            return
        from devenv.tui.own_commands import OwnCommands

        if self._command_control is None:
            self._command_control = self._make_command_control()
            self._command_control.start(self.feed.wake)
            self.feed.replace(self._sources())
        self.main.choose_commands(OwnCommands(self.main, self._command_control, commands).actions())

    async def look_for_cluster(self) -> None:
        """Bring a cluster beside the project where there was none when the program started."""
        find, self._find_cluster = self._find_cluster, None  # who looks meanwhile would attach it once more
        connector = find() if find is not None else None
        if connector is None or not await self._attach_cluster(connector):
            self._find_cluster = find
        elif self._looking is not None:
            self._looking.stop()

    async def _attach_cluster(self, connector: Connector) -> bool:
        """Put the screen for both runtimes on, with all that is known; return whether that is settled.

        It waits while something is open above the screen, while a change runs, and while a filter is set. Where runs of
        tests belong to the screen, it stays, and that is told.
        """
        from devenv.tui.kube.controller import cluster_screen

        old, backend, control = self.main, self._backend, self._control
        if self.screen is not old or old.action_bar.running is not None or old.filter.value:
            return False
        if old.changes.before_leaving:
            old.notify("Open devenv anew to see it: this terminal has run tests without it.", title="a cluster came")
            return True
        new, readers, changers = cluster_screen(
            backend, control, old.project_hint, connector, store=old.store, wake=self.feed.wake
        )
        new.verifies, new.loads, new.watches = old.verifies, old.loads, old.watches
        new.deploys = old.deploys
        new.dispatcher.arguments = old.dispatcher.arguments
        new.watch_status, new.probe_paths = old.watch_status, old.probe_paths
        new.changes.announced = old.changes.announced
        new.board.orders = old.board.orders
        new.board.order = old.board.order
        new.board.services.arrange(old.board.services.arrangement)
        new.board.services.choose_columns(old.board.services.chosen_columns)
        row = old.table.selected
        backend.follow_logs(())  # followed anew, they begin with their last lines
        self.main = new
        self._parts = (readers, changers)
        self.feed.replace(self._sources())
        # A mode of its own: the screen that an app begins with cannot be switched (Textual 8.2).
        self.add_mode(CLUSTER_MODE, lambda: new)
        await self.switch_mode(CLUSTER_MODE)
        await old.remove()
        await new.furnish()
        self.choose_commands(self._commands)
        if self._minikube is not None:
            self._minikube.tell()
        new.take(())
        index = next((index for index, other in enumerate(new.table.rows) if row and other.key == row.key), None)
        if index is not None:
            new.table.select(index)
        return True

    def ring(self, text: str) -> None:
        """Tell something while nobody looks at the terminal, as the setting says: by its bell, or as a notification."""
        if self.app_focus or self._driver is None:
            return
        if self._settings.ring == "notify":
            self._driver.write(f"\x1b]9;{safe(text)}\x07")  # OSC 9: iTerm2, kitty, WezTerm, Windows Terminal, foot
        elif self._settings.ring == "bell":
            self._driver.write("\x07")

    def _take_known(self) -> None:
        known = [*(self.early.known if self.early is not None else ()), *self.feed.waiting()]
        if known:
            self._take(known)

    def _deliver(self, changes: list[Change]) -> None:
        # Through the app's own queue: an error in it ends the program with a traceback instead of a silent loop.
        self.call_later(self._take, changes)

    def _take(self, changes: Sequence[Change]) -> None:
        delta = self.main.take(changes)
        if delta.actions and self._minikube is not None:
            self._minikube.take(delta.actions)
        happenings = self.main.store.happenings
        crashed = {one.key: one.name for one in delta.updated if has_crashed(one, happenings)}
        if new := sorted(name for key, name in crashed.items() if key not in self._crashed):
            self.ring(f"{', '.join(new)} crashed")
        self._crashed = (self._crashed - {resource.key for resource in delta.updated}) | crashed.keys()
        if self.bench_trace.is_on and delta.updated:
            states = [f"resource:{resource.key}:{resource.state}" for resource in delta.updated]
            self.main.call_after_refresh(self._mark, states)

    def _mark(self, states: Sequence[str]) -> None:
        self.bench_trace.write_once("first_paint")  # what was known before is in the first frame
        self.bench_trace.write_once("populated")
        for state in states:
            self.bench_trace.write(state)

    def _look_for_minikube(self) -> None:
        """Show how its cluster is, where it is installed."""
        self._minikube_control = self._minikube_control or self._find_minikube()
        if self._minikube_control is not None and self._minikube is None:
            from devenv.tui.kube.minikube import Minikube

            self._minikube_control.start(self.feed.wake)
            self.feed.replace(self._sources())
            self._minikube = Minikube(self, lambda: self.main, self._minikube_control)
            self._minikube.ended = lambda: self.call_later(self.look_for_cluster)
            self._minikube.begin()

    @on(MainScreen.MinikubeAsked)
    def ask_minikube(self, message: MainScreen.MinikubeAsked) -> None:
        """Do something to its cluster; where it is not installed, say so."""
        self._look_for_minikube()
        if self._minikube is not None:
            self._minikube.ask(message.argument)
        else:
            hint = "https://minikube.sigs.k8s.io/docs/start/ says how; what is in a cluster is shown without it."
            self.main.changes.explain("minikube is not possible", "minikube is not installed, or not on PATH", hint)

    @on(MainScreen.DiagnosticsAsked)
    def open_diagnostics(self) -> None:
        """Show what this terminal uses itself."""
        from devenv.tui.diagnostics import Meter
        from devenv.tui.dialogs import DiagnosticsScreen

        self.push_screen(DiagnosticsScreen(Meter(self.feed, self._project)))

    @on(MainScreen.VerifyAsked)
    def open_verify(self) -> None:
        """Show the smoke tests; start them where the command line asked for it."""
        if self._launch is None:
            return
        if self._verify_runs is None:
            from devenv.tui.runs.verify import VerifyRuns

            self._verify_runs = VerifyRuns(self.main, self._launch, self._verify_at_once or ())
            self._verify_runs.failed = lambda: self.ring("the smoke tests failed")
            if self._verify_at_once is not None:
                self._verify_runs.start()
        self.push_screen(self._verify_runs.screen())

    def load_runs(self) -> LoadRuns | None:
        """Return what runs load tests; None, and the reason is told, where nothing can."""
        if self._load_runs is None and self._make_runner is not None:
            from devenv.tui.runs.load import LoadRuns

            try:
                self._load_runs = LoadRuns(self, lambda: self.main, self._make_runner())
            except DevenvError as error:
                self.main.changes.impossible("load test", error)
        return self._load_runs

    @on(MainScreen.LoadAsked)
    def open_load(self) -> None:
        """Show the load test that goes on or was the last, or all of them."""
        runs = self.load_runs()
        if runs is not None:
            runs.show()

    def _overlays(self) -> tuple[str, ...]:
        return self._make_deploys().overlays if self._make_deploys is not None else ()

    @on(MainScreen.DeployAsked)
    def open_deploy(self, message: MainScreen.DeployAsked) -> None:
        """Show the deployment that goes on or was the last, or begin one."""
        if self._deploy_runs is None and self._make_deploys is not None:
            from devenv.tui.runs.deploy import DeployRuns

            self._deploy_runs = DeployRuns(self, lambda: self.main, self._make_deploys())
            self._deploy_runs.failed = lambda: self.ring("the deployment failed")
        if self._deploy_runs is not None:
            self._deploy_runs.ask(message.overlay)

    @on(MainScreen.WatchAsked)
    def toggle_watch(self, message: MainScreen.WatchAsked) -> None:
        """Begin to bring what is saved into the containers, or end it."""
        if self._watch is None and self._make_watch is not None:
            self._watch = self._make_watch()
            self._watch.start(self.feed.wake)
            self.feed.replace(self._sources())
        if self._watch is not None:
            self._watch.toggle(message.pods_of)

    def _look_for_load(self) -> None:
        """Find, in a thread, a load test of this project that a terminal before this one left running."""
        from devenv.load.runner import find_running

        run = find_running(self._make_runner) if self._make_runner is not None else None
        if run is not None:
            self.call_from_thread(self._attach_load, run)

    def _attach_load(self, run: KnownRun) -> None:
        runs = self.load_runs()
        if runs is not None and not runs.goes_on:
            runs.attach(run)

    def remember(self) -> None:
        """Keep what the terminal looks like, for the next time."""
        if self._project and self.fault is None and self.main.panes.tabs is not None:
            from devenv.tui.remembered import keep

            keep(self.main, self, self._project, theme_before=self._theme_before, settings=self._settings)
            if self.early is not None:
                self.early.keep(self.main.store.resources.values(), same_theme=self.theme == self._theme_before)

    def close_terminal(self) -> None:
        """End the threads of the terminal, whatever ended the app: one that is gone would be read for ever."""
        self.on_unmount()  # not called where a signal ended the loop
        if self._driver is not None:
            self._driver.close()

    def _fatal_error(self) -> None:
        """Leave, as Textual does after an exception that nobody handled; who started the app tells it."""
        self.fault = self._exception
        self._close_messages_no_wait()

    def action_help_quit(self) -> None:
        """Leave with ctrl-c, as with q."""
        self.main.changes.quit()

    async def action_quit(self) -> None:
        """Leave; a change that runs is asked about first."""
        self.main.changes.quit()


def run(
    backend: Backend,
    control: ProjectControl,
    *,
    title: str = "",
    theme: ThemeChoice = "auto",
    color: bool = True,
    verify: Launch | None = None,
    verify_at_once: tuple[str, ...] | None = None,
    load: MakeRunner | None = None,
    load_at_once: bool = False,
    deploy: Callable[[], Deploys] | None = None,
    watch: Callable[[], BackgroundWatch] | None = None,
    cluster: Connector | None = None,
    find_cluster: FindCluster | None = None,
    find_minikube: FindMinikube = lambda: None,
    probe_paths: Callable[[], Mapping[str, str]] = dict,
    settings: TerminalSettings = NOTHING_SET,
    keys: Mapping[str, str] = NO_KEYS,
    settings_file: SettingsFile | None = None,
    commands: Mapping[str, CommandSettings] = NO_COMMANDS,
    command_control: Callable[[], CommandControl] | None = None,
    project: str = "",
    early: EarlyScreen | None = None,
) -> int:
    """Open the terminal and return the exit code when it is left; stops the backend and the control.

    An exception that nobody handled closes it and is raised again here.

    `title` names the project until the backend knows it. Without `color` nothing but weight and reversal is used.
    `verify` starts the smoke tests; they begin `verify_at_once` where that holds their options. `load` makes what
    runs load tests; with `load_at_once` their screen is shown first. `deploy` makes what deploys overlays. `watch`
    makes what brings saved files into containers.
    `cluster` connects to a cluster after the first paint, where there may be one; where there is none, `find_cluster`
    is asked now and then whether one came. `find_minikube` makes what acts on minikube, where that is installed.
    `probe_paths` tells where services answer HTTP, beside at /. `settings` is
    the table `[terminal]`, `keys` the table `[keys]`; `settings_file` reads them again when they were changed.
    `commands` are the tables `[commands.NAME]`, and `command_control` makes what runs them. What it looks like is
    remembered for the `project`, where that is named: by its folder. `early` is what was shown before
    Textual was there.
    """
    if not color:
        os.environ["NO_COLOR"] = "1"
    app = DevenvApp(
        backend,
        control,
        title=title,
        theme=theme,
        verify=verify,
        verify_at_once=verify_at_once,
        load=load,
        load_at_once=load_at_once,
        deploy=deploy,
        watch=watch,
        cluster=cluster,
        find_cluster=find_cluster,
        find_minikube=find_minikube,
        probe_paths=probe_paths,
        settings=settings,
        keys=keys,
        settings_file=settings_file,
        commands=commands,
        command_control=command_control,
        project=project,
        early=early,
    )
    heed_lost_interrupt()
    try:
        # A thread that reads a flood keeps the interpreter for 5 ms by default, at each of the steps from a key to
        # the screen: beside one that computes a step took 8 ms, with 1 ms it takes 4 (measured on two busy cores).
        sys.setswitchinterval(0.001)
        answer = app.run()
        app.remember()
    finally:
        app.close_terminal()
        app.feed.stop()
        for source in reversed(app.feed.sources):
            source.stop()
    if app.fault is not None:
        raise app.fault
    if app.return_code:
        return app.return_code
    return answer or 0
