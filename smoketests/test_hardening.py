"""What the containers may do, as they run and not as it is written."""

from __future__ import annotations

import ipaddress
import json
import re

import pytest

from devenv.core.masking import mask_secrets
from devenv.manifests.credentials import judge, masked
from devenv.secrets import scan_image

pytestmark = pytest.mark.behaviour("hardening")

ON_BOTH = pytest.mark.targets("compose", "kubernetes")

SERVICES = ("backend", "frontend")
EACH_SERVICE = pytest.mark.parametrize("service", SERVICES)


@EACH_SERVICE
def test_ports_on_loopback_only(engine, service: str) -> None:
    """Nobody on the network reaches a developer's stack."""
    published = [port for port in engine.container(service).ports if port.host]
    assert published, f"{service} publishes no port"
    assert [port for port in published if not ipaddress.ip_address(port.host_ip).is_loopback] == []


def processes_of(engine, service: str) -> list[dict[str, str]]:
    """What the kernel says of each process in the container.

    A health check that begins just then is the runtime's own process (runc) for a moment: its rights go a moment later.
    One that ends while this looks is no process any more.
    """
    text = engine.exec(service, "sh", "-c", "cat /proc/[0-9]*/status 2>/dev/null || :")
    processes = [dict(re.findall(r"^(\w+):\s+(.*)$", item, re.M)) for item in re.split(r"(?=^Name:)", text, flags=re.M)]
    return [item for item in processes if item and not item["Name"].startswith("runc:")]


@ON_BOTH
@EACH_SERVICE
def test_processes_have_no_privileges(engine, service: str) -> None:
    """No process is root's, has a capability or can get one."""
    processes = processes_of(engine, service)
    assert len(processes) >= 2, "the service and this look at it"
    for process in processes:
        assert "0" not in process["Uid"].split(), f"{process['Name']} runs as root"
        assert "0" not in process["Gid"].split(), f"{process['Name']} runs in root's group"
        held = {name: process[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
        assert {name: value for name, value in held.items() if int(value, 16)} == {}, process["Name"]
        assert process["NoNewPrivs"] == "1", process["Name"]


@ON_BOTH
@EACH_SERVICE
def test_system_calls_are_filtered(engine, service: str) -> None:
    """Seccomp in the mode "filter", by what the kernel says of each process."""
    modes = [process["Seccomp"] for process in processes_of(engine, service)]
    assert len(modes) >= 2, "the service and this look at it"
    assert set(modes) == {"2"}


@EACH_SERVICE
def test_engine_is_out_of_reach(engine, service: str) -> None:
    """No socket of the machine is mounted, also not in a folder or read-only: the engine's would be root everywhere."""
    mounts = [item["Destination"] for item in engine.inspect(service)["Mounts"]]
    assert mounts, "there is nothing to look through"
    found = engine.exec(service, "find", *mounts, "-type", "s", user="0", check=False)
    assert [line for line in found.splitlines() if line.startswith("/")] == []


@EACH_SERVICE
def test_logs_are_bounded(engine, service: str) -> None:
    """What a service prints cannot fill the disk: the engine keeps files of a limited size."""
    kept = engine.inspect(service)["HostConfig"]["LogConfig"]
    bounded = kept["Type"] in ("local", "none") or int(re.match(r"-?\d+", kept["Config"].get("max-size", "0"))[0]) > 0
    assert bounded, kept


@ON_BOTH
@EACH_SERVICE
def test_root_file_system_is_read_only(engine, target, service: str) -> None:
    """Nobody can change a program: in a container not even root, in a pod nobody is root."""
    user = "0" if target == "compose" else ""
    mounts = [line.split() for line in engine.exec(service, "cat", "/proc/mounts").splitlines()]
    root = next(fields for fields in mounts if fields[1] == "/")
    assert "ro" in root[3].split(",")
    for path in ("/probe", "/app/probe", "/opt/venv/probe"):
        assert "Read-only file system" in engine.exec(service, "touch", path, user=user, check=False)
    writable = {fields[1] for fields in mounts if "rw" in fields[3].split(",")}
    kept = {path for path in writable if not path.startswith(("/proc", "/sys", "/dev"))}
    files = {"/etc/resolv.conf", "/etc/hostname", "/etc/hosts", "/dev/termination-log"}
    assert kept <= {"/data", "/tmp", *files}


@ON_BOTH
@EACH_SERVICE
def test_limits_are_in_force(engine, service: str) -> None:
    """Memory, processors and processes are limited, by what the kernel says inside."""
    limits = engine.limits(service)
    assert 0 < limits.memory <= 512 * 2**20, "memory"
    assert 0 < limits.processors <= 2, "processors"
    assert int(limit_inside(engine, service, "memory.max", "memory/memory.limit_in_bytes")) == limits.memory
    if limits.processes is not None:  # a pod's is the kubelet's to set, for all pods of the node
        assert 0 < limits.processes <= 256, "processes"
        assert int(limit_inside(engine, service, "pids.max", "pids/pids.max")) == limits.processes
    version1 = "cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us"
    quota, period = map(int, limit_inside(engine, service, "cpu.max", *version1.split()).split())
    assert quota / period == limits.processors


def limit_inside(engine, service: str, version2: str, *version1: str) -> str:
    """What the container's own control group says, whichever version the kernel has."""
    old = " ".join(f"/sys/fs/cgroup/{name}" for name in version1)
    script = f"if [ -e /sys/fs/cgroup/{version2} ]; then cat /sys/fs/cgroup/{version2}; else cat {old}; fi"
    return engine.exec(service, "sh", "-c", script).strip()


@EACH_SERVICE
def test_no_secret_in_inspect(engine, service: str) -> None:
    """Whoever may ask the engine learns no secret from a container's configuration."""
    config = engine.inspect(service)["Config"]
    pairs = [entry.partition("=")[::2] for entry in config["Env"]] + list(config["Labels"].items())
    assert {name: masked(value) for name, value in pairs if judge(name, value)} == {}
    command = json.dumps([config["Cmd"], config["Entrypoint"], config["Healthcheck"]])
    assert mask_secrets(command) == command


@EACH_SERVICE
def test_no_secret_in_image(engine, service: str) -> None:
    """Nor from its image: environment, labels and the commands of its history."""
    assert [f"{leak.name} {leak.what} in {leak.file}" for leak in scan_image(engine.image(service)["Id"])] == []


@ON_BOTH
@EACH_SERVICE
def test_no_secret_in_logs(engine, service: str) -> None:
    """Nor from what it printed since it was created."""
    lines = engine.logs(service).splitlines()
    assert lines, f"{service} printed nothing at all"
    assert [mask_secrets(line) for line in lines if mask_secrets(line) != line] == []
