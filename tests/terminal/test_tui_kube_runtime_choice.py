"""A key on a service of both runtimes: it asks for the runtime where it means something in both, else it acts."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from devenv.core.model import State
from devenv.tui.changes import Changes
from tests.terminal.cluster import ClusterDriver, cluster_opened, pod, workload
from tests.terminal.scripted import container


async def both(terminal: ClusterDriver, ready: tuple[int, int] = (2, 2), state: State = State.RUNNING) -> None:
    terminal.backend.live(replace(container("web"), state=state))
    terminal.cluster.live(workload("web", ready), kind="deployments")
    terminal.cluster.live(pod("web", 1))
    await terminal.go("web")
    await terminal.until(lambda: "compose" in terminal.row("▸ web"))


async def test_a_joint_line_asks_which_side_to_restart_and_remembers_it() -> None:
    async with cluster_opened() as terminal:
        await both(terminal)
        await terminal.press("r")
        await terminal.sees("Which web to restart?", "● compose", "kubernetes deployment/web", "minikube/shop")
        assert not terminal.session.planned
        await terminal.press("k", "enter")
        await terminal.until(lambda: terminal.session.planned == [("restart", "deployment/web", "")])
        assert not terminal.control.requested
        await terminal.press("r")
        await terminal.sees("Which web to restart?", "● kubernetes deployment/web")
        await terminal.press("up", "enter")
        await terminal.until(lambda: terminal.control.requested)
        assert [(plan.verb, plan.targets) for plan in terminal.control.requested] == [("restart", ("web",))]
        assert len(terminal.session.planned) == 1


async def test_leaving_the_question_changes_nothing() -> None:
    async with cluster_opened() as terminal:
        await both(terminal)
        await terminal.press("S")
        await terminal.sees("Which web to stop?")
        await terminal.press("escape")
        await terminal.until(lambda: terminal.app.screen is terminal.main)
        assert not terminal.control.requested
        assert not terminal.session.planned


async def test_the_lines_of_an_opened_one_do_not_ask() -> None:
    async with cluster_opened() as terminal:
        await both(terminal)
        await terminal.press("right", "down", "r")
        await terminal.until(lambda: terminal.control.requested)
        await terminal.press("down", "r")
        await terminal.until(lambda: terminal.session.planned == [("restart", "deployment/web", "")])
        assert len(terminal.control.requested) == 1


async def test_to_stop_in_a_cluster_is_to_scale_to_nothing() -> None:
    async with cluster_opened() as terminal:
        await both(terminal)
        await terminal.press("S")
        await terminal.sees("Which web to stop?")
        await terminal.press("k", "enter")
        await terminal.until(lambda: terminal.session.planned == [("scale", "deployment/web", "0")])


async def test_what_one_side_alone_can_do_is_done_there_without_a_question() -> None:
    async with cluster_opened() as terminal:
        await both(terminal, state=State.EXITED)
        await terminal.press("t")
        await terminal.until(lambda: terminal.control.requested)
        assert (terminal.control.requested[0].verb, terminal.session.planned) == ("start", [])
    async with cluster_opened() as terminal:
        await both(terminal, ready=(0, 0))
        await terminal.press("t")
        await terminal.sees("How many pods shall deployment web have?")
        await terminal.press("enter")
        await terminal.until(lambda: terminal.session.planned == [("scale", "deployment/web", "1")])
        await terminal.press("u")
        await terminal.until(lambda: terminal.control.requested)
        assert terminal.control.requested[0].verb == "up"


async def test_a_shell_is_opened_on_the_side_that_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[list[str]] = []
    monkeypatch.setattr(Changes, "leave_to", lambda self, plan, line, hand_over: given.append(line))
    async with cluster_opened() as terminal:
        await both(terminal)
        for side, expected in (
            ("c", ["docker", "exec", "-it"]),
            ("k", ["kubectl", "--namespace", "shop"]),
        ):
            await terminal.press("s")
            await terminal.sees("Which web to open a shell in?")
            await terminal.press(side, "enter")
            await terminal.until(lambda: given)
            assert given.pop()[: len(expected)] == expected


async def test_a_refused_context_is_refused_for_its_side_alone() -> None:
    async with cluster_opened(name="prod", allowed=False) as terminal:
        await both(terminal)
        await terminal.press("r", "k", "enter")
        await terminal.sees("restart was refused")
        await terminal.press("r", "up", "enter")
        await terminal.until(lambda: terminal.control.requested)
        assert not terminal.session.control.requested


async def test_the_palette_offers_what_makes_sense_and_does_it() -> None:
    async with cluster_opened() as terminal:
        await both(terminal)
        await terminal.press("ctrl+p", *"restart deployment web")
        await terminal.sees("restart deployment web", "kubectl rollout restart KIND/NAME")
        await terminal.press("down", "enter")
        await terminal.sees("Which web to restart?")
        await terminal.press("k", "enter")
        await terminal.until(lambda: terminal.session.planned == [("restart", "deployment/web", "")])
    async with cluster_opened() as terminal:
        terminal.cluster.live(pod("alone"))
        await terminal.go("alone-7d9-00001")
        await terminal.press("ctrl+p", *"pod alone")
        await terminal.sees("describe pod alone")
        assert not terminal.shows("restart pod alone")
