"""What the tabs of the details read from a real engine, and figures that agree with `docker stats`."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable

import pytest
from throwaway import Throwaway

from devenv.backends.docker.endpoint import Endpoint
from devenv.backends.docker.look import look
from devenv.backends.look import Image, Mount, Network, Processes, Variable
from devenv.core.errors import DevenvError
from devenv.core.masking import mask_secrets
from devenv.core.model import Resource

pytestmark = pytest.mark.engine
Factory = Callable[..., Throwaway]
_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
BUSY = "dd if=/dev/zero of=/data/file bs=1M count=8 conv=fsync 2>/dev/null; while :; do :; done"


def number(text: str) -> float:
    match = re.fullmatch(r"([0-9.]+)\s*([A-Za-z%]*)", text.strip())
    assert match is not None, text
    return float(match[1]) * _UNITS.get(match[2], 1)


def started(made: Throwaway, service: str) -> Resource:
    reader = made.reader()
    found: list[Resource] = []

    def look_for_it() -> bool:
        found[:] = [item for item in reader.store.resources.values() if item.service == service and item.pid]
        return bool(found)

    reader.until(look_for_it)
    return found[0]


def test_figures_agree_with_docker_stats(project: Factory) -> None:
    made = project(busy={"command": ["sh", "-c", BUSY], "mem_limit": "64m", "cpus": 0.4, "tmpfs": ["/data"]})
    made.compose("up", "-d")
    reader = made.reader()
    name = made.container("busy")
    reader.until(lambda: bool(reader.seen(name)) and reader.seen(name)[-1].state.is_up)
    reader.backend.watch_stats([reader.seen(name)[-1].key])
    time.sleep(3)  # the engine's own reading is a mean over a second: the beginning is no part of it
    reader.until(lambda: len(reader.samples()) >= 4)
    theirs = json.loads(made.docker("stats", "--no-stream", "--format", "{{json .}}", name))
    told = len(reader.samples())
    reader.until(lambda: len(reader.samples()) > told)
    ours = reader.samples()[-1]
    assert ours.cpu == pytest.approx(float(theirs["CPUPerc"].rstrip("%")) / 100, abs=0.2)
    use, limit = map(number, theirs["MemUsage"].split("/"))
    assert ours.memory == pytest.approx(use, rel=0.15, abs=2 * 2**20)
    assert ours.memory_limit == limit == 64 * 2**20
    assert ours.processes == int(theirs["PIDs"])
    received, sent = map(number, theirs["NetIO"].split("/"))
    assert (ours.received or 0, ours.sent or 0) == (pytest.approx(received, abs=2_000), pytest.approx(sent, abs=2_000))
    read, written = map(number, theirs["BlockIO"].split("/"))
    assert (ours.read or 0, ours.written or 0) == (pytest.approx(read, rel=0.1), pytest.approx(written, rel=0.1))


def test_each_tab_reads_what_is_there(project: Factory, engine: Endpoint, base_image: str) -> None:
    made = project(
        web={
            "command": ["sh", "-c", "echo 1234567 > /data/file; exec sleep 300"],
            "environment": {"API_TOKEN": "pl4nted-in-a-tab", "COLOR": "turquoise"},
            "volumes": [
                {"type": "volume", "target": "/data"},
                {"type": "bind", "source": "/usr", "target": "/host", "read_only": True},
            ],
        }
    )
    made.compose("up", "-d")
    web = started(made, "web")
    data = look(engine, web, "inspect")
    assert isinstance(data, dict)
    assert data["Id"] == web.container_id
    assert mask_secrets("it is pl4nted-in-a-tab") == "it is ••••", "an inspection taught it"
    variables = look(engine, web, "environment")
    assert Variable("", "COLOR", "turquoise") in variables
    assert any(isinstance(item, Variable) and item.source == "image" for item in variables)
    mounts = {item.target: item for item in look(engine, web, "mounts") if isinstance(item, Mount)}
    assert mounts["/host"][1:4] == ("bind", "/usr", True)
    assert mounts["/data"].kind == "volume"
    assert (mounts["/data"].size or 0) >= 8
    assert mounts["/"].size is not None
    [network] = look(engine, web, "networks")
    assert isinstance(network, Network)
    assert network.name == "none"
    processes = look(engine, web, "processes")
    assert isinstance(processes, Processes)
    assert any("sleep 300" in cell for row in processes.rows for cell in row)
    [image] = look(engine, web, "image")
    assert isinstance(image, Image)
    assert base_image in image.name
    assert image.size == json.loads(made.docker("image", "inspect", base_image))[0]["Size"]
    history = made.docker("history", "-q", base_image).splitlines()
    assert len(image.layers) == len(history)
    assert image.created_at is not None
    assert image.created_at < time.time()


def test_what_is_gone_or_does_not_run_is_told_in_words(project: Factory, engine: Endpoint) -> None:
    made = project(web={"command": ["sleep", "300"]})
    made.compose("up", "-d")
    web = started(made, "web")
    made.docker("stop", "-t", "0", web.container_id)
    with pytest.raises(DevenvError):
        look(engine, web, "processes")
    made.docker("rm", web.container_id)
    with pytest.raises(DevenvError, match="is not there any more"):
        look(engine, web, "inspect")
