"""Nothing is taken away by accident: what is asked, which keys count, and what is to be typed."""

from __future__ import annotations

import threading

import pytest
from msgspec.structs import replace

from devenv.control.kube.control import VERBS
from devenv.control.protocol import Plan
from devenv.core.errors import EngineUnreachable
from devenv.core.model import Resource, State
from devenv.tui.action_table import ACTIONS, OF_CLUSTER, UserAction
from devenv.tui.dialogs import ConfirmScreen
from tests.terminal.cluster import cluster_opened, pod, workload
from tests.terminal.conftest import Opening
from tests.terminal.driving import Driver
from tests.terminal.scripted import container, shop
from tests.terminal.test_tui_kube_keys import NODE

TAKES_AWAY = [action for action in ACTIONS if action.takes_away]
IN_COMPOSE = [action for action in TAKES_AWAY if action.group != OF_CLUSTER]
IN_CLUSTER = [action for action in TAKES_AWAY if action.kinds and VERBS[action.name].takes_away]


async def act(terminal: Driver, action: UserAction) -> None:
    if action.key:
        await terminal.press(action.key)
    else:
        terminal.main.action_do(action.name)  # as the palette does


def hasty(action: UserAction) -> list[tuple[str, ...]]:
    """What fingers do that do not wait: one key twice, and all of them."""
    own = (action.key,) if action.key else ()
    keys = ("enter", "space", "y", *own)
    return [*((key, key) for key in keys), keys, ("tab", "enter", "y"), ("left", "enter")]


@pytest.mark.parametrize("action", IN_COMPOSE, ids=lambda action: action.name)
async def test_no_key_pressed_at_once_confirms_in_compose(
    opened: Opening, action: UserAction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ConfirmScreen, "READ", 60.0)  # at once, however busy the machine is
    async with opened() as terminal:
        await terminal.live(container("web"), container("api"))
        for keys in hasty(action):
            await act(terminal, action)
            await terminal.press(*keys)
            if action.name in ("kill", "scale"):  # the first enter chose the signal, or the number
                await terminal.press(*keys)
            await terminal.press("escape", "escape", "escape")
            await terminal.until(lambda: terminal.app.screen is terminal.main)
            assert terminal.control.requested == [], keys
        assert terminal.control.plans


@pytest.mark.parametrize("action", IN_CLUSTER, ids=lambda action: action.name)
async def test_no_key_pressed_at_once_confirms_in_a_cluster(
    action: UserAction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ConfirmScreen, "READ", 60.0)
    of_kind: dict[str, tuple[Resource, str, str]] = {
        "pod": (pod("web"), "pods", "web-7d9-00001"),
        "node": (NODE, "nodes", "minikube"),
        "deployment": (workload("web"), "deployments", "web"),
    }
    resource, kind, title = next(of_kind[kind] for kind in of_kind if kind in action.kinds or "any" in action.kinds)
    async with cluster_opened() as terminal:
        terminal.cluster.live(resource, kind=kind)
        if kind == "nodes":
            await terminal.order("nodes")
        await terminal.go(title)
        for keys in hasty(action):
            asked = len(terminal.session.planned)
            await terminal.press(action.key, *keys)
            await terminal.until(lambda asked=asked: len(terminal.session.planned) > asked)
            await terminal.until(lambda: isinstance(terminal.app.screen, ConfirmScreen))
            await terminal.press(*keys)
            assert isinstance(terminal.app.screen, ConfirmScreen)
            while terminal.app.screen is not terminal.main:
                await terminal.press("escape")
            assert terminal.session.control.requested == [], keys


async def test_who_types_on_waits_on_and_who_has_read_may_answer(
    opened: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ConfirmScreen.READ >= 0.5  # longer than from one key to the next
    async with opened() as terminal:
        await terminal.live(*shop())
        await terminal.press("D", "y", "y", "enter")
        await terminal.sees("Down: the whole project?")
        await terminal.confirm("y")
        await terminal.until(lambda: [plan.verb for plan in terminal.control.requested] == ["down"])


async def test_while_it_looks_what_exactly_is_taken_nothing_is_answered(opened: Opening) -> None:
    known = threading.Event()

    def reached(plan: Plan) -> Plan:
        assert known.wait(30)
        return replace(plan, sentences=("Takes 2 containers, 1 volume with 12 MiB, 1 network.",))

    async with opened() as terminal:
        terminal.control.reached = reached
        await terminal.live(*shop())
        await terminal.press("D")
        await terminal.sees("looking what exactly it takes…")
        await terminal.press("y", "tab", "enter")
        known.set()
        await terminal.sees("Takes 2 containers, 1 volume with 12 MiB, 1 network.")
        assert terminal.control.requested == []
        await terminal.confirm("y")
        await terminal.until(lambda: terminal.control.requested)


async def test_what_cannot_be_known_is_said_and_may_be_done(opened: Opening) -> None:
    def reached(plan: Plan) -> Plan:
        raise EngineUnreachable("nobody answers at [/foo]")

    async with opened() as terminal:
        terminal.control.reached = reached
        await terminal.live(*shop())
        await terminal.press("D")
        await terminal.sees("What exactly it takes is not known: nobody answers at [/foo]")
        await terminal.confirm("y")
        await terminal.until(lambda: terminal.control.requested)


async def test_the_name_is_to_be_typed_where_volumes_go(opened: Opening) -> None:
    async with opened() as terminal:
        terminal.control.losses = ("shop_data with 12 MiB",)
        await terminal.live(*shop())
        terminal.main.action_do("down_volumes")
        await terminal.sees("✗ shop_data with 12 MiB", "Type shop to confirm:", "no (Esc)")
        await terminal.confirm(*"yes", "enter")
        await terminal.sees("Type shop to confirm, exactly as it stands here:")
        assert terminal.control.requested == []
        await terminal.press(*["backspace"] * 3, *"shop", "enter")
        await terminal.until(lambda: [plan.volumes for plan in terminal.control.requested] == [True])


async def test_a_name_that_is_typed_too_early_answers_nothing_and_does_nothing(
    opened: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ConfirmScreen, "READ", 60.0)
    async with opened() as terminal:
        await terminal.live(*shop())
        terminal.main.action_do("down_volumes")
        await terminal.sees("Type shop to confirm:")
        await terminal.press(*"nqS", "enter")
        await terminal.sees("Type shop to confirm:")
        await terminal.press("escape")
        await terminal.until(lambda: not isinstance(terminal.app.screen, ConfirmScreen))
        assert terminal.control.requested == []


async def test_a_scale_that_takes_nothing_does_not_ask(opened: Opening) -> None:
    async with opened() as terminal:
        terminal.control.reached = lambda plan: replace(plan, needs_confirmation=plan.option("replicas") == "1")
        await terminal.live(container("worker", 1), container("worker", 2))
        await terminal.press("c")
        await terminal.sees("How many containers shall worker have?")
        await terminal.press("backspace", "3", "enter")
        await terminal.until(lambda: terminal.control.requested)
        assert terminal.control.requested[0].option("replicas") == "3"
        await terminal.press("c")
        await terminal.sees("How many containers")
        await terminal.press("backspace", "1", "enter")
        await terminal.sees("Scale: worker?")
        await terminal.confirm("enter")
        assert len(terminal.control.requested) == 1


async def test_kill_asks_for_the_signal_first(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live(container("web"))
        await terminal.press("ctrl+k")
        await terminal.sees("Which signal for web?", "SIGKILL  ends it at once")
        await terminal.press(*"hup", "enter")
        await terminal.sees("Kill: web?")
        await terminal.confirm("y")
        await terminal.until(lambda: terminal.control.requested)
        assert terminal.control.requested[0].options == (("signal", "HUP"),)


async def test_marked_services_are_changed_at_once_and_the_marks_go(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live(container("api"), container("db"), container("web", state=State.EXITED))
        await terminal.press("space", "space", "space")
        await terminal.until(lambda: marks(terminal) == [" ✓", " ✓", "▌✓"])
        await terminal.press("S")
        await terminal.until(lambda: terminal.control.requested)
        assert terminal.control.requested[0].targets == ("api", "db")  # web has stopped already
        await terminal.until(lambda: "✓" not in terminal.row("api"))
        assert not terminal.main.table.marks
        await terminal.press("g", "space", "escape", "S")
        await terminal.until(lambda: len(terminal.control.requested) == 2)
        assert terminal.control.requested[1].targets == ("db",)


def marks(terminal: Driver) -> list[str]:
    return [line[:2] for line in terminal.lines() if line[2:].startswith(("api ", "db ", "web "))]


async def test_pause_freezes_what_runs_and_resumes_what_is_frozen(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live(container("api"), container("web", state=State.PAUSED))
        await terminal.press("P", "down", "P")
        await terminal.until(lambda: len(terminal.control.requested) == 2)
        assert [(plan.verb, plan.targets) for plan in terminal.control.requested] == [
            ("pause", ("api",)),
            ("unpause", ("web",)),
        ]


async def test_a_shell_that_is_not_there_says_why(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live(container("web"))
        terminal.control.no_shell = "shop-web-1 has neither bash nor sh"
        await terminal.press("s")
        await terminal.sees("shell is not possible", "shop-web-1 has neither bash nor sh")
        assert not terminal.control.handed


async def test_profiles_are_switched(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live(container("web"))
        terminal.control.known_profiles, terminal.control.active_profiles = ("debug", "seed"), ("seed",)
        for name, expected in (("debug", ("debug", "seed")), ("seed", ("debug",))):
            terminal.main.action_do("profiles")
            await terminal.sees("Which profile?", "activates it" if name == "debug" else "active: leaves it")
            await terminal.press(*name, "enter")
            await terminal.until(lambda expected=expected: terminal.control.active_profiles == expected)
