from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from _machine import Programs

from devenv.core.errors import EngineUnreachable
from scripts.machine import daemon

NFT = (
    'level=fatal msg="failed to start daemon: Error initializing network controller: error obtaining controller '
    "instance: failed to register bridge driver: failed to create NAT chain DOCKER: iptables failed: iptables -t nat "
    '-N DOCKER: iptables v1.8.9 (nf_tables): Could not fetch rule set generation id: Invalid argument"'
)


@pytest.fixture
def machine(programs: Programs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Programs]:
    """A machine without systemd whose dockerd is a script; the engine answers once a file says so."""
    monkeypatch.setattr(daemon, "LOG_FILE", tmp_path / "dockerd.log")
    monkeypatch.setattr(daemon, "PID_FILE", tmp_path / "docker.pid")
    monkeypatch.setattr(daemon, "_STARTED", [])
    monkeypatch.setattr(daemon, "_SYSTEMD", tmp_path / "no-systemd")
    monkeypatch.setattr(daemon, "START_SECONDS", 10.0)
    programs.add("docker", f'test -e "{tmp_path}/up" && echo 28.5.2 || {{ echo "Cannot connect" >&2; exit 1; }}')
    yield programs
    for process in daemon._STARTED:
        process.kill()
        process.wait()


def test_dockerd_is_started_in_a_session_of_its_own_and_waited_for(machine: Programs, tmp_path: Path) -> None:
    machine.add("dockerd", f'echo $$ >"{tmp_path}/pid"; echo ready; : >"{tmp_path}/up"; exec /bin/sleep 60')
    daemon.start_daemon()
    pid = int((tmp_path / "pid").read_text())
    assert os.getsid(pid) == pid != os.getsid(0)
    assert daemon.LOG_FILE.read_text() == "ready\n"
    assert machine.calls("dockerd") == [f"dockerd --pidfile={tmp_path}/docker.pid"]


def test_a_dockerd_that_dies_is_told_at_once_with_its_last_words(machine: Programs) -> None:
    machine.add("dockerd", "echo 'level=fatal msg=\"Devices cgroup is not mounted\"'; exit 1")
    started = time.monotonic()
    with pytest.raises(EngineUnreachable, match="Devices cgroup is not mounted") as raised:
        daemon.start_daemon()
    assert "/sys/fs/cgroup" in raised.value.hint
    assert time.monotonic() - started < daemon.START_SECONDS


def test_one_that_never_answers_is_given_up(machine: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "START_SECONDS", 0.5)
    machine.add("dockerd", "echo loading; exec /bin/sleep 60")
    with pytest.raises(EngineUnreachable, match=r"loading\s+no answer within 0\.5 s: Cannot connect"):
        daemon.start_daemon()


def test_a_kernel_without_nftables_gets_iptables_legacy_once(machine: Programs, tmp_path: Path) -> None:
    legacy = machine.add("iptables-legacy")
    machine.add("update-alternatives", f': >"{tmp_path}/legacy"')
    machine.add(
        "dockerd",
        f'test -e "{tmp_path}/legacy" || {{ echo \'{NFT}\'; exit 1; }}\n: >"{tmp_path}/up"; exec /bin/sleep 60',
    )
    daemon.start_daemon()
    assert f"update-alternatives --set iptables {legacy}" in machine.calls("update-alternatives")
    assert len(machine.calls("dockerd")) == 2


def test_where_legacy_does_not_help_either_it_is_not_tried_for_ever(machine: Programs) -> None:
    machine.add("iptables-legacy")
    machine.add("update-alternatives")
    machine.add("dockerd", f"echo '{NFT}'; exit 1")
    with pytest.raises(EngineUnreachable) as raised:
        daemon.start_daemon()
    assert len(machine.calls("dockerd")) == 2
    assert "iptables" in raised.value.hint


def test_one_that_is_starting_already_is_waited_for(
    machine: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "is_running", lambda: True)
    (tmp_path / "up").touch()
    machine.add("dockerd", "exit 1")
    daemon.start_daemon()
    assert machine.calls("dockerd") == []


@pytest.mark.skipif(sys.platform != "linux", reason="process names are read from Linux's /proc")
def test_a_pid_file_left_by_another_program_is_no_dockerd(machine: Programs) -> None:
    daemon.PID_FILE.write_text(str(os.getpid()))
    assert not daemon.is_running()
    daemon.PID_FILE.write_text("no number")
    assert not daemon.is_running()


def test_with_systemd_the_unit_is_enabled_and_its_log_told_when_it_fails(
    machine: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "_SYSTEMD", tmp_path)
    machine.add("systemctl", f': >"{tmp_path}/up"')
    daemon.start_daemon()
    assert machine.calls("systemctl") == ["systemctl enable --now docker"]
    machine.add("systemctl", "echo 'Job for docker.service failed' >&2; exit 1")
    machine.add("journalctl", "echo 'level=fatal msg=\"no space left on device\"'")
    with pytest.raises(EngineUnreachable, match=r"Job for docker\.service failed\s+level=fatal") as raised:
        daemon.start_daemon()
    assert raised.value.hint == "the disk is full"


@pytest.mark.parametrize(
    ("log", "hint"),
    [
        (f"time=x level=info msg=overlay\n{NFT}\n", "iptables"),
        ("failed to start daemon: error initializing graphdriver: driver not supported: overlay2", "overlay"),
        ('level=error msg="mkdir /var/lib/docker: operation not permitted"', "--privileged"),
        ('level=fatal msg="write /var/lib/docker/x: no space left on device"', "disk is full"),
        ("nothing to go by", "see /"),
    ],
)
def test_the_hint_comes_from_the_last_error_in_the_log(log: str, hint: str) -> None:
    assert hint in daemon.explain(log)
