"""What ends or hangs comes back, and no write that was acknowledged is lost meanwhile."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.behaviour("crash recovery")

EVENT_WITHIN = 45.0  # seconds until a test gives up; the budgets are the criteria's
ACKNOWLEDGED = 10  # writes before something is broken, and again after it came back

# Every process of the container but the first and the caller, which is the one that serves where a supervisor is first.
EVERYBODY = "kill -{signal} -1"

# The engine's limit is met by a process that is not the service; the service's processes are preferred as victims, as
# they would be had they grown themselves. Three times the limit, as swap may double it.
EAT_MEMORY = """
import os
for pid in filter(str.isdigit, os.listdir('/proc')):
    if int(pid) != os.getpid():
        open(f'/proc/{pid}/oom_score_adj', 'w').write('1000')
eaten = [b'x' * 2**20 for _ in range(EATEN)]
"""


@pytest.fixture
def written(isolated_stack, writer, measure, wait_for):
    """A writer that runs throughout; when all is over, everything that it was told to be kept is there."""
    found = writer(isolated_stack)

    def more() -> None:
        count = len(found.acknowledged) + ACKNOWLEDGED
        wait_for("writes to be acknowledged", lambda: len(found.acknowledged) >= count, EVENT_WITHIN)

    def check() -> None:
        lost = found.lost()
        if not lost:
            more()
            found.stop()
            lost = found.lost()
        measure("lost_writes", len(lost), stages={"acknowledged": len(found.acknowledged)})

    more()
    return check


def recovered(stack, service: str, since: float, restarts: int) -> float:
    """Wait until the service ended and is healthy again; the seconds between, by the engine's clock."""
    died = stack.engine.wait_event("die", service, since=since, timeout=EVENT_WITHIN)
    healthy = stack.engine.wait_event("health_status", service, since=died.at, timeout=EVENT_WITHIN, text="is healthy")
    assert stack.engine.container(service).restarts == restarts + 1
    return healthy.at - died.at


@pytest.mark.parametrize("service", ["backend", "frontend"])
def test_main_process_killed_from_the_host(isolated_stack, written, measure, service: str) -> None:
    """SIGKILL to the container's main process, as the kernel or an administrator sends it."""
    began = isolated_stack.engine.now()
    before = isolated_stack.engine.signal_main(service, "KILL")
    measure(f"crash_recovery.{service}", recovered(isolated_stack, service, began, before.restarts or 0))
    isolated_stack.wait_healthy()
    written()


def test_crash_inside(isolated_stack, written, measure) -> None:
    """The process that serves ends with a segmentation fault."""
    engine = isolated_stack.engine
    began, before = engine.now(), engine.container("backend")
    engine.exec("backend", "sh", "-c", EVERYBODY.format(signal="SEGV"), check=False)
    measure("crash_recovery.inside", recovered(isolated_stack, "backend", began, before.restarts or 0))
    written()


def test_out_of_memory(isolated_stack, written, measure) -> None:
    """The kernel ends the service at its memory limit; the engine's event is the evidence, its flag is soon reset."""
    engine = isolated_stack.engine
    began, before = engine.now(), engine.container("backend")
    limit = engine.inspect("backend")["HostConfig"]["Memory"]
    assert limit, "the backend has no memory limit"
    program = EAT_MEMORY.replace("EATEN", str(3 * limit // 2**20))
    engine.exec("backend", "python3", "-c", program, check=False)
    engine.wait_event("oom", "backend", since=began, timeout=EVENT_WITHIN)
    measure("oom_recovery", recovered(isolated_stack, "backend", began, before.restarts or 0))
    written()


def test_hung_process(isolated_stack, written, measure, wait_for) -> None:
    """Stopped processes still accept connections, by the kernel: the health check finds it, a kill brings it back."""
    engine = isolated_stack.engine
    began, before = engine.now(), engine.container("backend")
    try:
        engine.signal_main("backend", "STOP")
        # It may be the only one.
        engine.exec("backend", "sh", "-c", EVERYBODY.format(signal="STOP"), check=False)
        found = engine.wait_event("health_status", "backend", since=began, timeout=90.0, text="is unhealthy")
        probe = isolated_stack.endpoint("backend").probe(timeout=1.0)
        assert "ReadTimeout" in probe.error, f"the process does not hang: {probe}"
        checks = engine.container("backend").checks
        assert checks[-1].exit_code != 0
        assert "timed out" in checks[-1].output
    finally:
        killed = engine.now()
        engine.signal_main("backend", "KILL")
    measure("hang_detection", found.at - began)
    measure("crash_recovery.hung", recovered(isolated_stack, "backend", killed, before.restarts or 0))
    written()
