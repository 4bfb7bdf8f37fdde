"""Start dockerd so that it outlives the command that needed it, and say why when it does not come up."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

from devenv.core.errors import EngineUnreachable
from scripts.machine.docker import ask_engine
from scripts.machine.process import ask, environment, find_program, last_lines, say

LOG_FILE = Path("/var/log/devenv-dockerd.log")
# dockerd's own default: a second one started by whatever means sees it and refuses.
PID_FILE = Path("/var/run/docker.pid")
# What was started and is meant to go on: a Popen that is thrown away complains that its program still runs.
_STARTED: list[subprocess.Popen[bytes]] = []
# sd_booted(3): there exactly when systemd is the running init.
_SYSTEMD = Path("/run/systemd/system")
# A first start on a slow disk takes about 10 s; with systemd the unit's own limit is 60 s or more.
START_SECONDS = 60.0
_NFT_FAILED = re.compile(
    r"iptables.*(nf_tables|nft|RULE_APPEND|CHAIN_ADD|TABLE_ADD|Could not fetch rule set)", re.IGNORECASE
)
# The first that fits the last error in the log; the order is from the particular to the general.
_HINTS = {
    r"iptables|nftables|nf_tables": "the kernel lacks what iptables needs: load ip_tables or nf_tables",
    r"cgroup": "control groups are not mounted: mount /sys/fs/cgroup; a container needs --privileged",
    r"operation not permitted|permission denied": "this root may not manage the system; a container needs --privileged",
    r"overlay|graphdriver|snapshotter": "/var/lib/docker's file system takes no overlay: put another disk there",
    r"no space left": "the disk is full",
    r"bridge": "no network bridge could be made: the kernel module `bridge` may be missing",
}


def start_daemon() -> None:
    """Start the installed engine and wait until it answers.

    Raises EngineUnreachable with the last lines of its log and a hint.
    """
    if _SYSTEMD.is_dir():
        _start_unit()
        return
    if is_running():
        say("engine: dockerd is starting already")
        problem = _wait()
    else:
        problem = _launch()
        if problem and _NFT_FAILED.search(problem) and _use_legacy_iptables():
            say("engine: this kernel refuses nftables; trying iptables-legacy")
            problem = _launch()
    if problem:
        raise EngineUnreachable(
            f"dockerd did not come up; the end of {LOG_FILE}:\n{last_lines(problem)}", explain(problem)
        )


def explain(log: str) -> str:
    """Return a hint for the last error in dockerd's log."""
    errors = [line for line in log.splitlines() if re.search(r"level=(error|fatal)|^failed to start", line)]
    for line in reversed(errors or log.splitlines()):
        for pattern, hint in _HINTS.items():
            if re.search(pattern, line, re.IGNORECASE):
                return hint
    return f"see {LOG_FILE}"


def _start_unit() -> None:
    say("engine: systemctl enable --now docker")
    done = ask(["systemctl", "enable", "--now", "docker"])
    if problem := _wait() if done.returncode == 0 else done.stderr:
        log = ask(["journalctl", "--unit=docker", "--no-pager", "--lines=20", "--output=cat"]).stdout
        raise EngineUnreachable(f"docker.service does not answer: {problem.strip()}\n{last_lines(log)}", explain(log))


def is_running() -> bool:
    """Whether the daemon of the pid file runs; another program by now has its number."""
    try:
        name = Path(f"/proc/{int(PID_FILE.read_text())}/comm").read_text()
    except (OSError, ValueError):
        return False
    return name.strip() == "dockerd"


def _launch() -> str:
    say(f"engine: starting dockerd, log in {LOG_FILE}")
    with LOG_FILE.open("wb") as log:
        # A session of its own, and no pipe of ours: it outlives make, and make does not wait for it.
        process = subprocess.Popen(
            ["dockerd", f"--pidfile={PID_FILE}"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment(), cwd="/", start_new_session=True,
        )  # fmt: skip
    _STARTED.append(process)
    return _wait(process)


def _wait(process: subprocess.Popen[bytes] | None = None) -> str:
    """Wait until the engine answers; returns why it does not, empty when it does."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        version, reason = ask_engine()
        if version:
            return ""
        if process is not None and process.poll() is not None:
            return _log() or f"dockerd ended with {process.returncode} and no word"
        time.sleep(0.2)
    return f"{_log() if process else ''}\nno answer within {START_SECONDS:g} s: {reason}"


def _log() -> str:
    return LOG_FILE.read_text(encoding="utf-8", errors="replace")


def _use_legacy_iptables() -> bool:
    switched = [
        ask(["update-alternatives", "--set", name, legacy]).returncode == 0
        for name in ("iptables", "ip6tables")
        if (legacy := find_program(f"{name}-legacy"))
    ]
    return any(switched)
