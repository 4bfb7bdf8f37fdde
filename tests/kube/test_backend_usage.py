"""Resource use with its age and window, summed for a workload; without metrics.k8s.io the reason, once."""

from __future__ import annotations

import subprocess

import pytest

from devenv.backends.kube.kubeconfig import Target
from devenv.backends.kube.metrics import seconds
from devenv.core.model import Connection
from fakes.api_server import ApiServer, pod, pod_metrics
from tests.kube.watching import watching

Environ = dict[str, str]


def test_a_sample_says_how_old_it_is_and_what_it_is_a_mean_over(
    api: ApiServer, target: Target, environ: Environ
) -> None:
    limited = pod("web-1")
    limited["spec"]["containers"][0]["resources"] = {"limits": {"memory": "64Mi"}}
    api.put(limited, pod("web-2"), pod_metrics("web-1", cpu="12m", memory="30Mi", window="1m0s"))
    with watching(target, environ) as seen:
        seen.until(lambda: seen.names() == {"web-1", "web-2"})
        keys = [seen.named("pod", name).key for name in ("web-1", "web-2")]
        seen.backend.watch_stats(keys)
        seen.until(lambda: seen.samples())
        [sample] = seen.samples()
        assert sample.key == keys[0]
        assert sample.cpu is not None
        assert abs(sample.cpu - 0.012) < 1e-9
        assert (sample.memory, sample.memory_limit, sample.window) == (30 << 20, 64 << 20, 60.0)
        assert sample.at > 1_700_000_000, "the metrics server's time, not ours"


def test_a_sample_agrees_with_kubectl_top(api: ApiServer, target: Target, environ: Environ) -> None:
    api.put(pod("web-1"), pod_metrics("web-1", cpu="1234567u", memory="123456Ki", window="30s"))
    with watching(target, environ) as seen:
        seen.until(lambda: seen.names() == {"web-1"})
        seen.backend.watch_stats([seen.named("pod", "web-1").key])
        seen.until(lambda: seen.samples())
        [sample] = seen.samples()
    api.aggregated_discovery = False
    command = ["kubectl", "top", "pod", "web-1", "--no-headers", "-n", "default"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    name, cores, memory = done.stdout.split()
    assert name == "web-1"
    assert (sample.cpu or 0.0) * 1000 == pytest.approx(float(cores.removesuffix("m")), abs=1)
    assert (sample.memory or 0) / 2**20 == pytest.approx(float(memory.removesuffix("Mi")), abs=1)


def test_a_workload_is_the_sum_of_its_pods(api: ApiServer, target: Target, environ: Environ) -> None:
    owner = api.put({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "load"}, "spec": {}})
    api.put(pod("load-1", owner=owner), pod("load-2", owner=owner))
    api.put(pod_metrics("load-1", memory="10Mi"), pod_metrics("load-2", memory="20Mi"))
    with watching(target, environ) as seen:
        seen.until(lambda: seen.names() == {"load-1", "load-2"} and seen.names("job") == {"load"})
        seen.backend.watch_stats([seen.named("job", "load").key])
        seen.until(lambda: seen.samples())
        assert seen.samples()[0].memory == 30 << 20


def test_without_metrics_the_reason_is_said_once(api: ApiServer, target: Target, environ: Environ) -> None:
    api.served.metrics = False
    api.put(pod("web-1"))
    with watching(target, environ) as seen:
        seen.until(lambda: seen.names() == {"web-1"})
        seen.backend.watch_stats([seen.named("pod", "web-1").key])
        seen.until(lambda: "serves no metrics.k8s.io" in seen.message)
        assert seen.state == "live"
        told = {r.message for r in seen.records if isinstance(r, Connection) and "metrics.k8s.io" in r.message}
        assert len(told) == 1


def test_a_metrics_server_that_is_down_is_told(api: ApiServer, target: Target, environ: Environ) -> None:
    api.faults.failing["/apis/metrics.k8s.io"] = 503
    api.put(pod("web-1"))
    with watching(target, environ) as seen:
        seen.until(lambda: seen.names() == {"web-1"})
        seen.backend.watch_stats([seen.named("pod", "web-1").key])
        seen.until(lambda: "metrics.k8s.io does not answer" in seen.message)


def test_durations_are_read_as_go_writes_them() -> None:
    assert [seconds(text) for text in ("15s", "1m0s", "14.843s", "1h0m5s")] == [15.0, 60.0, 14.843, 3605.0]
    assert [seconds(text) for text in ("", "soon", "250ms", None)] == [None, None, None, None]
