"""Lists and watches through everything that breaks them: what is shown is what is there."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from devenv.backends.kube import client as client_module
from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import Forbidden, Gone, Unreachable
from devenv.backends.kube.kinds import DEPLOYMENTS, PODS
from devenv.backends.kube.parse import PAGES
from fakes.api_server import ApiServer, deployment, pod
from tests.kube.seen import Watched, wait_for

MakeClient = Callable[..., KubeClient]


def test_a_list_comes_in_pages_and_the_watch_goes_on_from_it(api: ApiServer, client: KubeClient) -> None:
    api.put(*(pod(f"web-{number:04}") for number in range(1200)))
    with Watched(client) as seen:
        seen.live()
        assert seen.log == ["list", "page", "page", "live"]
        api.put(pod("late"))
        api.delete("pods", "web-0000")
        wait_for(lambda: "late" in seen.names and "web-0000" not in seen.names)
        assert len(seen.names) == 1200
    assert api.count("GET", "/pods") == 3
    assert api.count("WATCH", "/pods") == 1


def test_a_list_comes_in_pages_of_the_size_that_is_asked_for(api: ApiServer, client: KubeClient) -> None:
    api.put(*(pod(f"web-{number}") for number in range(7)))
    assert [len(page.items) for page in client.pages(PODS, "default", limit=3)] == [3, 3, 1]


def test_a_page_that_is_not_as_it_should_be_is_read_all_the_same(api: ApiServer, client: KubeClient) -> None:
    odd = pod("odd")
    odd["spec"]["containers"] = {"web": 1}
    api.put(pod("web"), odd)
    (page,) = client.pages(PODS, "default", like=PAGES["Pod"])
    assert [item["spec"]["containers"] for item in page.items if item["metadata"]["name"] == "odd"] == [{"web": 1}]
    assert len(page.items) == 2


def test_selectors_reach_the_list_and_the_watch(api: ApiServer, client: KubeClient) -> None:
    api.put(pod("a", labels={"app": "web"}), pod("b", labels={"app": "db"}), pod("c", namespace="kube-system"))
    with Watched(client, PODS, "default", labels="app=web") as seen:
        seen.live()
        assert seen.names == {"a"}
        api.put(pod("d", labels={"app": "web"}), pod("e", labels={"app": "db"}))
        api.change("pods", "a", {"metadata": {"labels": {"app": "moved"}}})
        wait_for(lambda: seen.names == {"d"}, saying="a left the selection, d came into it")
    assert [item["metadata"]["name"] for item in client.list(PODS, fields="metadata.namespace=kube-system")[0]] == ["c"]


def test_a_watch_that_the_server_ends_is_resumed_without_a_list(api: ApiServer, client: KubeClient) -> None:
    with Watched(client) as seen:
        seen.live()
        wait_for(lambda: api.watches.count("pods") == 1)
        api.watches.cut("end")
        api.put(pod("meanwhile"))
        seen.live(2)
        wait_for(lambda: seen.names == {"meanwhile"})
        assert seen.log.count("list") == 1
    assert api.queries[-1][2]["resourceVersion"] != "0"


def test_a_watch_that_breaks_is_resumed_where_it_was(api: ApiServer, client: KubeClient) -> None:
    api.put(pod("before"))
    with Watched(client) as seen:
        seen.live()
        wait_for(lambda: api.watches.count("pods") == 1)
        api.watches.cut("reset")
        api.put(pod("meanwhile"))
        seen.live(2)
        wait_for(lambda: seen.names == {"before", "meanwhile"})
        assert seen.log.count("list") == 1
        assert isinstance(seen.errors[0], Unreachable)
        assert seen.errors[0].broke


def test_410_during_a_watch_lists_again_and_drops_what_is_gone(api: ApiServer, client: KubeClient) -> None:
    api.put(pod("stays"), pod("goes"))
    with Watched(client) as seen:
        seen.live()
        wait_for(lambda: api.watches.count("pods") == 1)
        with api.store.changed:  # the watch sees neither the deletion nor its event: they are compacted before it wakes
            api.delete("pods", "goes")
            api.store.compact()
        seen.live(2)
        assert seen.names == {"stays"}
        assert seen.log.count("list") == 2
        assert "DELETED" not in seen.log


def test_410_at_the_opening_of_a_watch_lists_again(api: ApiServer, client: KubeClient) -> None:
    version = client.list(PODS)[1]
    api.store.compact()
    with pytest.raises(Gone), client.watch(PODS, None, version) as watch:
        list(watch)


def test_410_between_two_pages_begins_the_list_anew(
    api: ApiServer, client: KubeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.put(*(pod(f"web-{number:04}") for number in range(600)))
    api.faults.expire_pages = True
    with Watched(client) as seen:
        wait_for(lambda: seen.log.count("list") >= 2)
        api.faults.expire_pages = False
        seen.live()
        assert len(seen.names) == 600


def test_bookmarks_move_the_version_on_while_nothing_happens(api: ApiServer, client: KubeClient) -> None:
    api.faults.bookmark_every = 0.05
    with Watched(client) as seen:
        seen.live()
        newest = api.store.bump(5000)  # other kinds of objects changed
        wait_for(lambda: seen.list_watch.resource_version == str(newest))
        assert "BOOKMARK" not in seen.log
        wait_for(lambda: api.watches.count("pods") == 1)
        api.watches.cut("end")
        seen.live(2)
        assert api.queries[-1][2]["resourceVersion"] == str(newest)


def test_a_half_open_watch_is_noticed_and_resumed(
    api: ApiServer, client: KubeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.faults.bookmark_every = 0.1
    monkeypatch.setattr(client_module, "QUIET", 0.6)
    api.put(pod("a"))
    with Watched(client) as seen:
        seen.live()
        api.faults.hang()
        api.put(pod("b"))
        wait_for(lambda: "quiet" in seen.log, saying="the silence is noticed")
        assert seen.names == {"a"}, "what was known stays on screen"
        api.faults.flow()
        wait_for(lambda: seen.names == {"a", "b"})


def test_a_server_that_is_away_and_comes_back_is_listed_again(api: ApiServer, client: KubeClient) -> None:
    api.put(pod("stays"), pod("goes"))
    with Watched(client) as seen:
        seen.live()
        api.stop()
        wait_for(lambda: len(seen.errors) >= 3, saying="it is tried again and again")
        assert seen.names == {"stays", "goes"}, "what was known stays on screen"
        assert any(isinstance(error, Unreachable) and not error.broke for error in seen.errors)
        api.delete("pods", "goes")
        api.start()
        seen.live(2)
        assert seen.names == {"stays"}
        assert seen.log.count("list") == 2


def test_nothing_of_the_old_cluster_is_shown_of_a_new_one_at_the_same_address(
    api: ApiServer, client: KubeClient
) -> None:
    api.put(pod("old-1"), pod("old-2"))
    with Watched(client) as seen:
        seen.live()
        old = client.identity()
        api.new_cluster()
        api.put(pod("new"))
        seen.live(2)
        wait_for(lambda: seen.names == {"new"}, saying=f"only the new one's pods: {seen.names}")
        wait_for(lambda: client.identity() != old)


def test_a_resumed_watch_asks_whether_it_is_the_same_cluster(api: ApiServer, client: KubeClient) -> None:
    """A fast swap: the old server's connection breaks and the new one answers at the first try, with old versions."""
    api.put(pod("old"))
    with Watched(client, pause=0.3) as seen:
        seen.live()
        wait_for(lambda: api.watches.count("pods") == 1)
        api.new_cluster()
        api.put(pod("new"))
        api.store.bump(100_000)  # its versions are beyond the old ones: a watch from there would be silent, not refused
        seen.live(2)
        assert seen.names == {"new"}


def test_a_watch_resumed_after_silence_asks_whether_it_is_the_same_cluster(
    api: ApiServer, client: KubeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine slept, or a proxy held the connection, while the cluster behind the address was made anew."""
    api.faults.bookmark_every = 0.1
    monkeypatch.setattr(client_module, "QUIET", 0.6)
    api.put(pod("old"))
    with Watched(client) as seen:
        seen.live()
        api.faults.hang()
        api.new_cluster(breaking=False)
        api.put(pod("new"))
        api.store.bump(100_000)
        wait_for(lambda: "quiet" in seen.log, saying="the silence is noticed")
        api.faults.flow()
        seen.live(2)
        assert seen.names == {"new"}
        assert not seen.errors, "nothing but the silence told of it"


def test_a_watch_resumed_where_the_kubeconfig_leads_now_lists_what_is_there(
    api: ApiServer, client: KubeClient, kubeconfig: Path
) -> None:
    """The context got another server while its watch was open, and the old server ended the watch in good order."""
    api.put(pod("old"))
    with ApiServer() as other, Watched(client) as seen:
        seen.live()
        other.put(pod("new"))
        other.store.bump(100_000)
        wait_for(lambda: api.watches.count("pods") == 1)
        other.kubeconfig(kubeconfig)
        api.watches.cut("end")
        seen.live(2)
        assert seen.names == {"new"}


def test_a_kind_that_may_not_be_listed_is_told_and_comes_when_it_is_allowed(api: ApiServer, client: KubeClient) -> None:
    api.faults.forbidden = {"pods"}
    with Watched(client) as seen, Watched(client, DEPLOYMENTS) as allowed:
        allowed.live()
        wait_for(lambda: seen.errors)
        assert isinstance(seen.errors[0], Forbidden)
        assert 'cannot list resource "pods"' in seen.errors[0].message
        api.faults.forbidden = set()
        seen.live()
        api.put(deployment("web"))
        wait_for(lambda: allowed.names == {"web"})


def test_stopping_ends_a_watch_at_once(api: ApiServer, client: KubeClient) -> None:
    with Watched(client) as seen:
        seen.live()
        began = time.monotonic()
        seen.stream.stop()
        assert seen.stream.join(30)
        assert time.monotonic() - began < 10


def test_stopping_ends_a_list_that_hangs_at_once(api: ApiServer, client: KubeClient) -> None:
    api.faults.hang()
    with Watched(client) as seen:
        wait_for(lambda: api.count("GET"))
        began = time.monotonic()
        seen.stream.stop()
        assert seen.stream.join(30)
        assert time.monotonic() - began < 10
    api.faults.flow()


def test_a_server_that_ends_every_watch_at_once_is_not_hammered(api: ApiServer, client: KubeClient) -> None:
    with Watched(client, pause=0.2) as seen:
        for turn in range(1, 4):
            seen.live(turn)
            wait_for(lambda: api.watches.count("pods") == 1)
            api.watches.cut("end")
        assert seen.errors.count(None) >= 2, "each short watch is followed by the stream's pause"


def test_relist_from_outside(api: ApiServer, client: KubeClient) -> None:
    with Watched(client) as seen:
        seen.live()
        seen.list_watch.relist()
        seen.stream.interrupt()
        seen.live(2)
        assert seen.log.count("list") == 2
