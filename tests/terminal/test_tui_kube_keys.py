"""What the keys do to a cluster: asked for, confirmed, refused, handed over; and that help tells all of it."""

from __future__ import annotations

import pytest

from devenv.core.model import Resource, Runtime, State
from devenv.tui.action_table import BY_NAME, OF_CLUSTER, help_groups
from devenv.tui.changes import Changes
from tests.terminal.cluster import ClusterDriver, cluster_opened, pod, workload

NODE = Resource("kubernetes:node", Runtime.KUBERNETES, "node", "minikube", "", State.RUNNING, status="Ready")


async def shop(terminal: ClusterDriver) -> None:
    terminal.cluster.live(workload("web", (2, 2)), kind="deployments")
    terminal.cluster.live(pod("web", 1), pod("web", 2))
    await terminal.go("web")


@pytest.mark.parametrize(("key", "verb"), [("r", "restart"), ("B", "undo"), ("P", "pause")])
async def test_a_key_changes_the_selected_workload(key: str, verb: str) -> None:
    async with cluster_opened() as terminal:
        await shop(terminal)
        await terminal.press(key)
        if verb == "undo":  # it takes the newer revision away
            await terminal.confirm("y")
        await terminal.until(lambda: terminal.session.control.requested)
        assert terminal.session.planned == [(verb, "deployment/web", "")]
        assert not terminal.control.requested
        await terminal.sees(f"{verb} deployment/shop/web")


async def test_scaling_asks_for_a_number() -> None:
    async with cluster_opened() as terminal:
        await shop(terminal)
        await terminal.press("c")
        await terminal.sees("How many pods shall deployment web have?")
        await terminal.press("x", "enter")
        await terminal.sees("✗ a whole number, 0 or more")
        await terminal.press("backspace", "backspace", "5", "enter")
        await terminal.until(lambda: terminal.session.planned == [("scale", "deployment/web", "5")])


async def test_deleting_says_what_goes_with_it_and_no_is_the_default() -> None:
    async with cluster_opened() as terminal:
        terminal.session.losses = ("volume data of claim web-data",)
        await shop(terminal)
        await terminal.press("ctrl+d")
        await terminal.sees("Delete: deployment/shop/web?", "delete hits 3 pods.", "✗ volume data of claim web-data")
        await terminal.confirm("enter")
        await terminal.until(lambda: terminal.app.screen is terminal.main)
        assert not terminal.session.control.requested
        await terminal.press("ctrl+d")
        await terminal.sees("Delete: deployment/shop/web?")
        await terminal.confirm("y")
        await terminal.until(lambda: terminal.session.control.requested)


async def test_a_node_is_cordoned_and_drained() -> None:
    async with cluster_opened() as terminal:
        terminal.cluster.live(NODE, kind="nodes")
        await terminal.order("nodes")
        await terminal.go("minikube")
        await terminal.press("K")
        await terminal.until(lambda: terminal.session.planned == [("cordon", "node/minikube", "")])
        await terminal.press("X")
        await terminal.sees("Drain: node//minikube?")


async def test_a_port_forward_is_opened_listed_and_closed() -> None:
    async with cluster_opened() as terminal:
        await shop(terminal)
        await terminal.press("f")
        await terminal.sees("Lead which local port")
        await terminal.press(*"18080:http", "enter")
        await terminal.sees("127.0.0.1:18080 → deployment/web:http")
        await terminal.press("F")
        await terminal.sees("PORT-FORWARDS", "2.0 KiB", "3.0 MiB", "pod web-1:8000", "made again 2×")
        await terminal.press("x")
        await terminal.sees("none is open")
        await terminal.until(lambda: terminal.session.made[0].closed)


async def test_leaving_closes_the_port_forwards() -> None:
    async with cluster_opened() as terminal:
        await shop(terminal)
        made = terminal.session.forward(workload("web"), "80", 0)
        terminal.controller.changes.forwards.append(made)
        await terminal.press("q")
    assert made.closed


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("s", ["exec", "-it", "deployment/web"]),
        ("E", ["edit", "deployment/web"]),
    ],
)
async def test_the_terminal_is_handed_to_kubectl(
    key: str, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with cluster_opened() as terminal:
        await shop(terminal)
        given: list[list[str]] = []
        monkeypatch.setattr(Changes, "leave_to", lambda self, plan, line, hand_over: given.append(line))
        await terminal.press(key)
        await terminal.until(lambda: given)
        assert given[0][:3] == ["kubectl", "--namespace", "shop"]
        assert given[0][3 : 3 + len(expected)] == expected


async def test_a_terminal_that_cannot_be_given_away_says_so() -> None:
    async with cluster_opened() as terminal:
        await shop(terminal)
        await terminal.press("s")
        await terminal.sees("This terminal cannot be given to another program.")
        assert not terminal.session.handed


async def test_nothing_of_a_read_only_context_is_handed_over() -> None:
    async with cluster_opened(name="prod", allowed=False) as terminal:
        await shop(terminal)
        await terminal.press("s")
        await terminal.sees("exec was refused")
        await terminal.press("ctrl+d")
        await terminal.sees("delete was refused")
        assert not terminal.session.handed
        assert not terminal.session.control.requested


async def test_help_and_palette_list_the_keys_with_their_kubectl() -> None:
    async with cluster_opened(size=(120, 90)) as terminal:
        await shop(terminal)
        await terminal.press("question_mark")
        await terminal.sees("Cluster, and the same by kubectl", "kubectl rollout undo KIND/NAME", "kubectl drain NODE")
        await terminal.press("escape", "ctrl+p")
        await terminal.sees("rollout deployment web", "kubectl scale KIND/NAME --replicas=N")
        await terminal.press("colon", *"pods")
        await terminal.sees(":pods")
        await terminal.until(lambda: not terminal.shows("rollout deployment web"))


def test_every_key_has_an_id_and_says_what_it_is_in_kubectl() -> None:
    bindings = dict(help_groups(BY_NAME, in_cluster=True))[OF_CLUSTER]
    assert all(binding.id for binding in bindings)
    assert len({binding.id for binding in bindings}) == len(bindings)
    own = {"forwards", "evict"}  # kubectl has nothing of the sort
    assert {binding.id for binding in bindings if "kubectl" not in binding.tooltip} == own


@pytest.mark.parametrize(("key", "verb"), [("c", "scale"), ("T", "debug")])
async def test_read_only_refuses_before_anything_is_asked(key: str, verb: str) -> None:
    async with cluster_opened(name="prod", allowed=False) as terminal:
        terminal.cluster.live(workload("web", (2, 2)), kind="deployments")
        terminal.cluster.live(pod("web", 1))
        await terminal.go("web")
        if verb == "debug":
            await terminal.press("right")
            await terminal.go("web-7d9-00001")
        await terminal.press(key)
        await terminal.sees("the context prod is not on the list")
        assert terminal.app.screen is terminal.main, "no question that ends in a refusal"
