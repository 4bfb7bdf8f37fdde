"""Being asked to end, by real signals to real processes: the first one ends the work, none ends the clean-up."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

PROGRAM = """
import sys, time
from pathlib import Path
from devenv.core.signals import interrupt_once
restore = interrupt_once()
try:
    Path("working").touch()
    time.sleep(30)
except KeyboardInterrupt:
    print("cleaning", flush=True)
    Path("cleaning").touch()
    until = time.monotonic() + 1
    while time.monotonic() < until:
        time.sleep(0.05)
    print("clean", file=sys.stderr, flush=True)
    Path("clean").touch()
    sys.exit(130)
"""
INT, TERM, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP


def start(folder: Path, *before: str, terminal: int | None = None) -> subprocess.Popen[bytes]:
    output = subprocess.PIPE if terminal is None else terminal
    process = subprocess.Popen(
        [*before, sys.executable, "-c", PROGRAM], cwd=folder, stdin=terminal, stdout=output, stderr=output
    )
    wait_for(folder / "working")
    return process


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} did not come"
        time.sleep(0.02)


@pytest.mark.parametrize("numbers", [(INT,), (TERM,), (HUP,), (INT, INT), (TERM, INT, HUP), (HUP, TERM)])
def test_every_signal_ends_the_work_and_none_the_clean_up(tmp_path: Path, numbers: tuple[signal.Signals, ...]) -> None:
    process = start(tmp_path)
    for number in numbers:
        process.send_signal(number)
        wait_for(tmp_path / "cleaning")
    output, told = process.communicate(timeout=20)
    assert (process.returncode, output) == (130, b"cleaning\n")
    assert (tmp_path / "clean").exists()
    assert told.count(b"it ends as soon as it has cleaned up") == len(numbers) - 1


# The main thread waits for a child, and the signal comes to another thread, as it may when the main one is about to.
UNSEEN = """
import os, signal, subprocess, sys, threading, time
from devenv.core.signals import interrupt_once
restore = interrupt_once()
child = subprocess.Popen(["sleep", "60"])
def receive():
    time.sleep(0.3)
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
    time.sleep(60)
threading.Thread(target=receive, daemon=True).start()
try:
    os.waitpid(child.pid, 0)
except KeyboardInterrupt:
    child.kill()
    child.wait()
    restore()
    print("ended", threading.active_count(), flush=True)
"""


def test_a_signal_that_the_main_thread_has_not_seen_ends_its_waiting() -> None:
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", UNSEEN], capture_output=True, text=True, timeout=50)
    assert done.stdout.startswith("ended"), done.stderr
    assert time.monotonic() - began < 40


def test_a_closed_terminal_does_not_end_the_clean_up(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = start(tmp_path, terminal=theirs)
    os.close(theirs)
    os.close(ours)  # from now on each write to it is an error
    process.send_signal(HUP)
    assert process.wait(20) == 130
    assert (tmp_path / "clean").exists()


def test_what_is_to_outlive_the_terminal_does(tmp_path: Path) -> None:
    process = start(tmp_path, "nohup")
    process.send_signal(HUP)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(TERM)
    process.communicate(timeout=20)
    assert process.returncode == 130


HANDED = """
import os, sys
from pathlib import Path
from devenv.core.signals import hand_over
from devenv.core.signals import interrupt_once
interrupt_once()
try:
    hand_over(["sh", "-c", "touch working; exec sleep 60"], os.environ)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize("number", [TERM, HUP])
def test_a_program_that_has_the_terminal_ends_with_devenv(tmp_path: Path, number: signal.Signals) -> None:
    process = subprocess.Popen([sys.executable, "-c", HANDED], cwd=tmp_path)
    wait_for(tmp_path / "working")
    children = psutil.Process(process.pid).children()
    process.send_signal(number)
    assert process.wait(20) == 130
    assert psutil.wait_procs(children, timeout=5)[1] == []


def test_a_signal_waits_while_a_program_is_being_started() -> None:
    code = (
        "import os, signal, sys\n"
        "from devenv.core.signals import held, interrupt_once\n"
        "interrupt_once()\n"
        "with held() as release:\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    print('started', flush=True)\n"
        "    try: release()\n"
        "    except KeyboardInterrupt: print('cleaned up')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert (done.stdout, done.returncode) == ("started\ncleaned up\n", 0), done.stderr


# Importing has such callbacks: an exception in one of them is told on stderr, and the import goes on.
IN_A_CALLBACK = """
import os, signal, weakref
from devenv.core.signals import heed_lost_interrupt, interrupt_once
interrupt_once()
heed_lost_interrupt()
class Thing: pass
thing = Thing()
seen = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGTERM))
del thing
print("lost", flush=True)
try:
    heed_lost_interrupt()
except KeyboardInterrupt:
    print("heeded", flush=True)
"""


def test_a_signal_that_came_within_a_callback_of_python_is_not_lost() -> None:
    done = subprocess.run([sys.executable, "-c", IN_A_CALLBACK], capture_output=True, text=True, timeout=50)
    assert done.stdout.split() == ["lost", "heeded"], done.stderr
