"""The command line: kinds, namespaces, contexts; and what is watched for it."""

from __future__ import annotations

from msgspec.structs import replace

from devenv.backends.kube.kinds import CONFIG_MAPS, PODS
from devenv.backends.kube.kubeconfig import Contexts
from devenv.core.errors import DevenvError
from devenv.core.model import ConnectionState, Resource, Runtime, State
from devenv.tui.action_table import BY_NAME
from devenv.tui.app import DevenvApp
from devenv.tui.command_line import Places, candidates, parse
from tests.terminal.cluster import FakeConnector, cluster_opened, connected, context, pod, workload
from tests.terminal.conftest import Opening
from tests.terminal.driving import Driver
from tests.terminal.scripted import ScriptedBackend, ScriptedControl, container


def config(name: str, data: str) -> Resource:
    return Resource(
        f"kubernetes:{name}",
        Runtime.KUBERNETES,
        "configmap",
        name,
        "",
        State.RUNNING,
        namespace="shop",
        facts=(("data", data), ("immutable", "no")),
    )


async def test_a_kind_has_its_own_columns_and_escape_goes_back() -> None:
    async with cluster_opened() as terminal:
        terminal.backend.live(container("web"))
        terminal.cluster.live(workload("web"), kind="deployments")
        terminal.cluster.live(pod("web"))
        await terminal.until(lambda: terminal.rows == ["▸ web"])
        await terminal.order("cm")
        await terminal.until(lambda: CONFIG_MAPS in terminal.cluster.kinds)
        await terminal.sees("there is no configmap here", ":configmap")
        terminal.cluster.live(config("settings", "3"), kind="configmaps")
        await terminal.sees("NAME", "DATA", "IMMUTABLE", "settings")
        await terminal.press("escape")
        await terminal.until(lambda: terminal.rows == ["▸ web"])
        assert CONFIG_MAPS not in terminal.cluster.kinds
        assert PODS in terminal.cluster.kinds


async def test_pods_by_their_short_name_in_all_namespaces() -> None:
    async with cluster_opened() as terminal:
        terminal.cluster.live(pod("web"), replace(pod("dns"), namespace="kube-system"))
        await terminal.order("ns all")
        await terminal.until(lambda: terminal.cluster.namespace is None)
        await terminal.sees("minikube/all namespaces")
        await terminal.order("po")
        await terminal.sees("NAMESPACE", "kube-system", "NODE")
        assert [row.title for row in terminal.main.table.rows] == ["dns-7d9-00001", "web-7d9-00001"]


async def test_a_kind_of_the_cluster_itself_is_found_by_discovery() -> None:
    async with cluster_opened() as terminal:
        terminal.cluster.live(pod("web"))
        await terminal.order("wd")
        await terminal.until(lambda: any(kind.name == "Widget" for kind in terminal.cluster.kinds))
        await terminal.order("wdgets")
        await terminal.sees("widgets")


async def test_a_namespace_is_chosen_from_a_list_or_by_its_name() -> None:
    async with cluster_opened() as terminal:
        terminal.cluster.live(pod("web"))
        await terminal.order("ns")
        await terminal.sees("Which namespace?", "kube-system", "● shop")
        await terminal.press(*"kube", "enter")
        await terminal.until(lambda: terminal.session.target.namespace == "kube-system")
        await terminal.sees("minikube/kube-system")
        await terminal.order("ns default")
        await terminal.until(lambda: terminal.cluster.namespace == "default")


async def test_another_context_leaves_nothing_of_the_one_before() -> None:
    async with cluster_opened() as terminal:
        terminal.cluster.live(pod("web"), pod("web", 2))
        await terminal.sees("2 pods")
        await terminal.order("ctx")
        await terminal.sees("Which context?", "● minikube", "prod", "READ-ONLY")
        await terminal.press("escape")
        await terminal.order("ctx prod")
        await terminal.sees("⎈ prod/shop", "◌ connecting…")
        await terminal.until(lambda: not terminal.main.table.rows)
        assert "pods" not in terminal.lines()[1]
        await terminal.order("ctx nope")
        await terminal.sees("context 'nope'", "Did you mean")


async def test_a_context_that_is_not_on_the_list_is_not_opened_unasked() -> None:
    connector = FakeConnector(None, Contexts((context("prod"),), "prod"), now="prod")
    backend, control = ScriptedBackend(), ScriptedControl()
    app = DevenvApp(backend, control, title="shop", theme="dark", cluster=connector)  # type: ignore[arg-type]  # scripted
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        terminal = Driver(app, pilot, backend, control)
        await terminal.live(container("web"))
        await terminal.until(lambda: terminal.main.query("#command-line"))
        assert not terminal.shows("⎈")
        await terminal.press("colon", *"ctx prod", "enter")
        await terminal.sees("⎈ prod/shop", "READ-ONLY")


async def test_a_broken_kubeconfig_is_told_and_the_project_goes_on() -> None:
    async with cluster_opened() as terminal:
        terminal.backend.live(container("web"))
        await terminal.sees("● running")
        terminal.connector.error = DevenvError("The kubeconfig is not YAML", "Look at line 3.")
        terminal.controller.navigation.begin()
        await terminal.sees("The kubeconfig is not YAML → Look at line 3.")


async def test_a_current_context_that_changes_is_noticed() -> None:
    async with cluster_opened() as terminal:
        terminal.cluster.live(pod("web"))
        await terminal.sees("1 pod")
        terminal.connector.version, terminal.connector.now = 1, "prod"
        terminal.controller.navigation.look()
        await terminal.sees("kubectl's current context is now prod; this terminal stays on minikube", "C goes there")
        assert terminal.session.target.context.name == "minikube"
        await terminal.press("x")
        await terminal.until(lambda: not terminal.shows("kubectl's current context"))


async def test_a_key_goes_where_the_current_context_went_and_only_then() -> None:
    async with cluster_opened() as terminal:
        terminal.cluster.live(pod("web"))
        await terminal.sees("1 pod")
        assert not terminal.main.check_action("do", ("follow",))
        terminal.connector.version, terminal.connector.now = 1, "prod"
        terminal.controller.navigation.look()
        await terminal.sees("kubectl's current context is now prod")
        await terminal.press("C")
        await terminal.sees("⎈ prod/shop")
        await terminal.until(lambda: not terminal.shows("kubectl's current context"))


async def test_a_current_context_that_comes_back_is_not_told_any_more() -> None:
    async with cluster_opened() as terminal:
        for version, name in ((1, "prod"), (2, "minikube")):
            terminal.connector.version, terminal.connector.now = version, name
            terminal.controller.navigation.look()
            await terminal.until(lambda name=name: terminal.shows("current context is now prod") is (name == "prod"))


async def test_a_cluster_that_comes_later_is_connected_to_by_itself() -> None:
    async with cluster_opened(connected=False) as terminal:
        terminal.backend.live(container("web"))
        await terminal.sees("● running")
        terminal.controller.navigation.look()
        await terminal.settle()
        assert not terminal.shows("⎈")
        terminal.connector.session, terminal.connector.version = terminal.session, 1
        terminal.controller.navigation.look()
        await terminal.sees("⎈ minikube/shop")


async def test_a_kubeconfig_that_is_being_written_is_no_error_until_the_next_look() -> None:
    async with cluster_opened(connected=False) as terminal:
        terminal.connector.version = 1
        terminal.connector.error = DevenvError("The kubeconfig is not YAML", "Look at line 3.")
        asked = terminal.connector.asked
        terminal.controller.navigation.look()
        await terminal.until(lambda: terminal.connector.asked == asked + 1)
        await terminal.settle()
        assert not terminal.shows("not YAML")
        terminal.controller.navigation.look()
        await terminal.sees("The kubeconfig is not YAML")
        asked = terminal.connector.asked
        terminal.controller.navigation.look()
        await terminal.settle()
        assert terminal.connector.asked == asked, "what was told is not read again before it is changed"


def test_orders_are_read_with_and_without_a_colon() -> None:
    assert parse(" :NS  Shop ") == ("ns", "Shop")
    assert parse("q") == ("q", "")
    assert parse("") == ("", "")


def test_what_is_begun_is_completed() -> None:
    places = Places((PODS, CONFIG_MAPS), ("default", "kube-system"), ("a", "b"))
    assert candidates("po", BY_NAME, (), places)[:2] == ("po", "pods")
    assert candidates("ns ku", BY_NAME, (), places) == ("ns kube-system",)
    assert candidates("ctx ", BY_NAME, (), places) == ("ctx a", "ctx b")
    assert candidates("nonsense", BY_NAME, (), places) == ()
    services = ("api", "web", "worker")
    assert candidates("restart w", BY_NAME, services) == ("restart web", "restart worker")
    assert candidates("down", BY_NAME, services) == ("down", "down-all", "down-volumes")
    assert candidates("down ", BY_NAME, services) == ()
    assert candidates("minikube st", BY_NAME, services) == ("minikube start", "minikube stop")
    assert candidates("deploy d", BY_NAME, services, arguments={"deploy": lambda: ("dev", "staging")}) == (
        "deploy dev",
    )
    assert candidates("n", {"restart", "leave"}, services) == (), "there is no cluster, so no namespace"


async def test_completion_is_shown_and_taken_with_tab() -> None:
    async with cluster_opened() as terminal:
        terminal.cluster.live(pod("web"))
        await terminal.press("colon", *"deplo")
        await terminal.sees("deploy", "deployments")
        await terminal.until(lambda: terminal.main.command_line and terminal.main.command_line.input._suggestion)
        await terminal.press("tab")
        assert terminal.main.command_line is not None
        assert terminal.main.command_line.input.value == "deploy"
        await terminal.press("escape")
        await terminal.until(lambda: terminal.main.focused is terminal.main.table)


async def test_what_k9s_calls_them_is_understood() -> None:
    async with cluster_opened() as terminal:
        terminal.cluster.live(workload("web"), kind="deployments")
        await terminal.order("dp")
        await terminal.sees(":deployment", "web")
        await terminal.order("sec")
        await terminal.sees("there is no secret here")
        assert candidates("dp", (), (), Places((PODS,))) == ("dp",)


async def test_without_a_cluster_the_contexts_are_offered() -> None:
    async with cluster_opened(connected=False) as terminal:
        terminal.backend.live(container("web"))
        await terminal.until(lambda: terminal.main.query("#command-line"))
        for order in ("ctx", "ns"):
            await terminal.order(order)
            await terminal.sees("Which context?", "minikube", "prod")
            await terminal.press("escape")
            await terminal.until(lambda: not terminal.shows("Which context?"))


async def test_what_is_still_to_come_is_not_called_nothing() -> None:
    async with cluster_opened() as terminal:
        terminal.backend.live()
        await terminal.sees("● live", "connecting to minikube…")
        assert not terminal.shows("nothing is declared")
        terminal.cluster.emit(connected(ConnectionState.RETRYING, message="no answer", retry_in=5.0))
        await terminal.sees("nothing to show until the cluster answers")
        terminal.cluster.live()
        await terminal.sees("nothing is declared or running here")


async def test_without_a_cluster_it_does_what_the_keys_do(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live(container("api"), container("web"))
        await terminal.press("colon", *"resta")
        await terminal.sees("restart  restart-all")
        await terminal.press("tab", "space", "w")
        await terminal.press("tab", "enter")
        await terminal.until(
            lambda: [(one.verb, one.targets) for one in terminal.control.plans] == [("restart", ("web",))]
        )
        assert terminal.main.focused is terminal.main.table
        assert terminal.main.selected is not None
        assert terminal.main.selected.service == "web"


async def test_what_is_no_command_or_does_nothing_is_told(opened: Opening) -> None:
    async with opened() as terminal:
        await terminal.live(container("api"))
        await terminal.press("colon", *"pods", "enter")
        await terminal.sees("No such command")
        await terminal.press("colon", *"stop", "space", *"nope", "enter")
        await terminal.sees("nope: no service of that name is shown")
        await terminal.press("colon", *"start", "enter")
        await terminal.sees("That does nothing here now")
        await terminal.press("colon", *"q", "escape")
        assert terminal.control.plans == []
        await terminal.press("colon", *"q", "enter")
        await terminal.until(lambda: not terminal.app.is_running)
