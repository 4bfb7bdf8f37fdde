"""Which kinds a cluster serves, and the words that people use for them."""

from __future__ import annotations

import pytest

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import KubeError, NotFound
from devenv.backends.kube.kinds import DEPLOYMENTS, KNOWN, NODES, POD_METRICS, PODS, Kind, discover, find_kind
from fakes.api_server import ApiServer

WIDGETS = Kind("shop.example", "v1alpha1", "widgets", "Widget", short=("wd",))


def test_paths() -> None:
    assert PODS.path() == "/api/v1/pods"
    assert PODS.path("a b", "x", "log") == "/api/v1/namespaces/a%20b/pods/x/log"
    assert DEPLOYMENTS.path("team", "web", "scale") == "/apis/apps/v1/namespaces/team/deployments/web/scale"
    assert NODES.path("ignored", "n") == "/api/v1/nodes/n"
    assert (PODS.api, DEPLOYMENTS.api, DEPLOYMENTS.full_name) == ("v1", "apps/v1", "deployments.apps")


@pytest.mark.parametrize("aggregated", [True, False])
def test_everything_that_is_served_is_found_in_both_forms_of_discovery(
    api: ApiServer, client: KubeClient, aggregated: bool
) -> None:
    api.aggregated_discovery = aggregated
    api.served.add(WIDGETS)
    found = discover(client)
    assert set(KNOWN) <= set(found)
    assert WIDGETS in found
    assert not any("/" in kind.plural for kind in found)
    assert (api.count("GET") == 2) == aggregated


def test_a_group_whose_own_server_is_away_is_left_out(api: ApiServer, client: KubeClient) -> None:
    api.aggregated_discovery = False
    api.faults.failing = {"/apis/metrics.k8s.io/": 503}
    assert POD_METRICS not in discover(client)
    api.faults.failing = {"/apis/apps/": 500}
    with pytest.raises(KubeError, match="upstream failure"):
        discover(client)


@pytest.mark.parametrize("word", ["deploy", "deployment", "Deployments", "deployments.apps", "deployment.apps"])
def test_words_for_a_kind(word: str) -> None:
    assert find_kind(word, KNOWN) == DEPLOYMENTS


def test_pods_are_pods_and_not_their_metrics() -> None:
    assert find_kind("pods", (POD_METRICS, *KNOWN)) == PODS
    assert find_kind("podmetrics", KNOWN) == POD_METRICS
    assert find_kind("pods.metrics.k8s.io", KNOWN) == POD_METRICS


def test_an_unknown_word_is_told_with_near_ones() -> None:
    with pytest.raises(NotFound, match="called 'deploymnet'") as caught:
        find_kind("deploymnet", KNOWN)
    assert "deployment" in caught.value.hint
    with pytest.raises(NotFound) as caught:
        find_kind("\x1b[2J", KNOWN)
    assert "\x1b" not in caught.value.message
