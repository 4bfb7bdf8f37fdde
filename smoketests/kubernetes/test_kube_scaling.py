"""Five replicas, and every one of them works."""

from __future__ import annotations

import json
import time

import pytest

from devenv.backends.kube.kinds import HPAS
from devenv.verify.kube.load import Call, constant_load

pytestmark = [pytest.mark.behaviour("scaling"), pytest.mark.targets("kubernetes")]

REPLICAS = 5
REQUESTS = 300
RATE = 40.0  # requests a second, each on a connection of its own
FAIR = 0.25  # of an even share: what the least of them gets at least; by chance one of 300 gets less than 26 in 10^-6
WITHIN = 90.0
COUNT = """
import json, sys, urllib.request
found = {}
for address in sys.argv[1:]:
    text = urllib.request.urlopen(f"http://{address}:3000/metrics", timeout=10).read().decode()
    lines = [line for line in text.splitlines() if line.startswith('docfront_requests_total{area="page"')]
    found[address] = sum(float(line.rpartition(" ")[2]) for line in lines)
print(json.dumps(found))
"""


@pytest.fixture
def five(isolated_stack, measure):
    """The frontend with five replicas; the autoscaler's lowest number is raised too, or it would take them back."""
    cluster = isolated_stack.engine
    scaler = cluster.autoscaler_of("frontend")
    lowest = scaler["spec"]["minReplicas"] if scaler else 1
    path = HPAS.path(isolated_stack.name, scaler["metadata"]["name"]) if scaler else ""
    began = time.monotonic()
    if scaler:
        cluster.patch(path, {"spec": {"minReplicas": REPLICAS}})
    cluster.scale("frontend", REPLICAS)
    try:
        isolated_stack.wait_rolled_out(WITHIN, "frontend")
        measure("scale_up", time.monotonic() - began, stages={"replicas": REPLICAS})
        yield cluster
    finally:
        if scaler:
            cluster.patch(path, {"spec": {"minReplicas": lowest}})
        cluster.scale("frontend", lowest)


def test_load_is_spread_over_all_replicas(isolated_stack, five, caller, measure, wait_for) -> None:
    """Each of the five answers a fair part of the requests to the one Service."""
    pod = caller(isolated_stack)
    pods = five.pods("frontend")
    assert len(pods) == REPLICAS
    names = {item.name for item in pods}
    wait_for("all five in the endpoint slices", lambda: five.addresses("frontend") == names, 30.0, every=0.5)

    def answered() -> dict[str, float]:
        return json.loads(five.exec_in(pod, "python3", "-c", COUNT, *(item.ip for item in pods)))

    before = answered()
    with constant_load(five, pod, "http://frontend:3000", [Call("GET", "/")], rate=RATE) as load:
        load.more(REQUESTS)
    result = load.finish()
    counted = {address: count - before[address] for address, count in answered().items()}
    assert result.failures == 0, str(result)
    assert sum(counted.values()) >= result.answered
    share = min(counted.values()) / (result.answered / REPLICAS)
    measure("load_share", 100 * share, unit="%", budget=100 * FAIR, better="higher", stages=counted)
