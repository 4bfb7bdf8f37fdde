"""Changes for the terminal: one at a time, told as records, canceled as by ctrl-c; Compose is played by a script."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from fakedocker import fake_docker

from devenv.backends.compose import ComposeOptions
from devenv.control import runner
from devenv.control.actions import ComposeControl
from devenv.control.audit import AuditLog
from devenv.control.guard import Guard
from devenv.core.errors import DevenvError, Refused
from devenv.core.model import (
    Action,
    Change,
    Dependency,
    Phase,
    Progress,
    Project,
    Resource,
    Runtime,
    Service,
    State,
)

PROJECT = Project("p", "/p", (), (Service("web"),), volumes=("p_data",))
WEB = Resource("docker/web", Runtime.COMPOSE, "container", "p-web-1", "web", State.RUNNING)
STEP = """echo '{"id":"Container p-web-1","status":"Done","text":"Started"}' >&2"""


class Terminal:
    """Collects what a control tells, as the terminal does."""

    def __init__(
        self, folder: Path, script: str, project: Project | None = PROJECT, *, read_only: bool = False
    ) -> None:
        self.audit = AuditLog(folder / "audit.jsonl")
        self.options = ComposeOptions(directory=str(folder))
        self.project = project
        self.control = ComposeControl(
            lambda: self.options,
            lambda: self.project,
            Guard(self.audit, read_only=read_only, source="tui"),
            fake_docker(folder, script),
        )
        self.records: list[Change] = []
        self.woken = threading.Event()
        self.control.start(self.woken.set)

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline, self.records
            self.woken.wait(0.5)
            self.woken.clear()
            self.records += self.control.drain()

    def phases(self) -> list[Phase]:
        return [record.phase for record in self.records if isinstance(record, Action)]

    def last(self) -> Action:
        return [record for record in self.records if isinstance(record, Action)][-1]


def test_the_life_of_an_action(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, f'echo "$@" >{tmp_path}/said; {STEP}')
    plan = terminal.control.plan("up", ("web",))
    action = terminal.control.request(plan)
    assert action.phase is Phase.REQUESTED
    terminal.until(lambda: Phase.DONE in terminal.phases())
    assert terminal.phases() == [Phase.REQUESTED, Phase.RUNNING, Phase.DONE]
    assert Progress("Container p-web-1", "Started", "done", action=action.id) in terminal.records
    assert (tmp_path / "said").read_text() == "compose --progress json up --detach web\n"
    events = [json.loads(line)["event"] for line in terminal.audit.path.read_text().splitlines()]
    assert events == ["allowed", "finished"]


def test_down_with_volumes_is_to_be_confirmed_and_names_them(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, f'echo "$@" >{tmp_path}/said')
    plan = terminal.control.plan("down", volumes=True)
    assert (plan.needs_confirmation, plan.losses) == (True, ("p_data",))
    terminal.control.request(plan)
    terminal.until(lambda: Phase.DONE in terminal.phases())
    assert (tmp_path / "said").read_text().endswith("down --volumes\n")
    assert terminal.last().detail == "there was nothing to do"


def test_a_failure_is_told_with_hint_and_code(tmp_path: Path) -> None:
    message = '{"error":true,"message":"external volume \\"v\\" not found"}'
    terminal = Terminal(tmp_path, f"echo '{message}' >&2; exit 1")
    terminal.control.request(terminal.control.plan("up"))
    terminal.until(lambda: Phase.FAILED in terminal.phases())
    assert terminal.last().detail == "The external volume v does not exist"
    assert "docker volume create v" in terminal.last().hint
    assert terminal.last().exit_code == 5


def test_while_the_whole_project_changes_nothing_else_does_and_it_can_be_canceled(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, f"{STEP}; exec sleep 60")
    action = terminal.control.request(terminal.control.plan("up"))
    names = {thread.name for thread in threading.enumerate()}
    assert f"devenv-action-{action.id}-up" in names
    with pytest.raises(Refused, match="restart was not begun: up is still running"):
        terminal.control.request(terminal.control.plan("restart"))
    terminal.control.cancel(action.id + 1)
    terminal.until(lambda: any(isinstance(record, Progress) for record in terminal.records))
    assert Phase.FAILED not in terminal.phases()
    terminal.control.cancel(action.id)
    terminal.until(lambda: Phase.FAILED in terminal.phases())
    assert terminal.last().exit_code == 130
    terminal.control.cancel(action.id)
    results = [json.loads(line).get("result") for line in terminal.audit.path.read_text().splitlines()]
    assert results == [None, None, "interrupted"]


def test_several_run_at_once_and_a_second_of_the_same_service_is_refused(tmp_path: Path) -> None:
    shop = Project("p", "/p", (), (Service("web", depends_on=(Dependency("db"),)), Service("db"), Service("mail")))
    terminal = Terminal(tmp_path, f"{STEP}; exec sleep 60", shop)
    first = terminal.control.request(terminal.control.plan("up", ("web",)))
    with pytest.raises(Refused, match="stop was not begun: up of web is still running"):
        terminal.control.request(terminal.control.plan("stop", ("db",)))  # web's start reaches it
    second = terminal.control.request(terminal.control.plan("stop", ("mail",)))
    with pytest.raises(Refused, match="is still running"):
        terminal.control.request(terminal.control.plan("down"))
    terminal.until(lambda: {r.action for r in terminal.records if isinstance(r, Progress)} == {first.id, second.id})
    terminal.control.cancel(second.id)
    terminal.until(lambda: Phase.FAILED in terminal.phases())
    assert terminal.last().id == second.id
    again = terminal.control.request(terminal.control.plan("restart", ("mail",)))
    for action in (first, again):
        terminal.control.cancel(action.id)
    terminal.until(lambda: terminal.phases().count(Phase.FAILED) == 3)


@pytest.mark.parametrize(
    ("verb", "options", "said"),
    [
        ("recreate", {}, "up --detach --force-recreate --no-deps web"),
        ("rm", {}, "rm --force --stop web"),
        ("scale", {"replicas": "3"}, "up --detach --no-deps --no-recreate --scale web=3 web"),
        ("kill", {"signal": "INT"}, "kill --signal INT web"),
        ("up", {"no_deps": "yes"}, "up --detach --no-deps web"),
        ("stop", {"dependents": "yes"}, "stop web front"),
        ("pause", {}, "pause web"),
        ("pull", {}, "pull web"),
    ],
)
def test_what_compose_is_asked_for(tmp_path: Path, verb: str, options: dict[str, str], said: str) -> None:
    shop = Project("p", "/p", (), (Service("web"), Service("front", depends_on=(Dependency("web"),))))
    terminal = Terminal(tmp_path, f'echo "$@" >{tmp_path}/said; {STEP}', shop)
    terminal.control.request(terminal.control.plan(verb, ("web",), options=options))
    terminal.until(lambda: Phase.DONE in terminal.phases())
    assert (tmp_path / "said").read_text() == f"compose --progress json {said}\n"


def test_down_of_everything_takes_all_profiles_and_orphans(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, f'echo "$@" >{tmp_path}/said; {STEP}')
    terminal.control.request(terminal.control.plan("down", options={"all": "yes"}))
    terminal.until(lambda: Phase.DONE in terminal.phases())
    assert (tmp_path / "said").read_text() == "compose --profile * --progress json down --remove-orphans\n"


@pytest.mark.parametrize(
    ("script", "shell"),
    [
        ("exit 0", "bash"),
        ('test "$3" = sh || { echo "exec: bash: executable file not found" >&2; exit 127; }', "sh"),
    ],
)
def test_a_shell_is_bash_else_sh(tmp_path: Path, script: str, shell: str) -> None:
    terminal = Terminal(tmp_path, script)
    plan, line = terminal.control.shell(WEB)
    assert (plan.verb, plan.targets) == ("exec", ("web",))
    assert line == ["docker", "exec", "--interactive", "--tty", "p-web-1", shell]


def test_where_there_is_no_shell_it_says_why(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, 'echo "OCI runtime exec failed: \\"$3\\": executable file not found" >&2; exit 127')
    with pytest.raises(DevenvError, match="p-web-1 has neither bash nor sh"):
        terminal.control.shell(WEB)
    terminal = Terminal(tmp_path, 'echo "container p-web-1 is paused" >&2; exit 1')
    with pytest.raises(DevenvError, match="There is no shell in p-web-1: container p-web-1 is paused"):
        terminal.control.shell(WEB)


def test_a_one_off_command_is_run_and_written_down(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, f'echo "$@" >{tmp_path}/said; exit 3')
    plan, line = terminal.control.one_off("web", ["ls", "-l"])
    assert terminal.control.hand_over(plan, line) == 3
    assert (tmp_path / "said").read_text() == "compose run --rm web ls -l\n"
    (entry,) = terminal.audit.entries()
    assert (entry.what, entry.verdict) == ("run web", "failed")
    assert entry.command == "docker compose run --rm web ls -l"


def test_leaving_interrupts_what_runs(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, f"{STEP}; exec sleep 60")
    terminal.control.request(terminal.control.plan("up"))
    terminal.until(lambda: any(isinstance(record, Progress) for record in terminal.records))
    terminal.control.stop()
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("devenv-action")]


def test_read_only_refuses_in_the_plan_and_in_the_request(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, "exit 1", read_only=True)
    plan = terminal.control.plan("stop")
    assert not plan.allowed
    assert "read-only" in plan.reason
    with pytest.raises(Refused):
        terminal.control.request(plan)
    assert terminal.control.drain() == []


def test_before_the_project_is_known_nothing_is_changed(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, "exit 1", project=None)
    plan = terminal.control.plan("down")
    assert (plan.allowed, plan.reason) == (False, "Compose has not read the project yet")
    with pytest.raises(Refused, match="not read the project yet"):
        terminal.control.request(plan)


def test_a_terminal_that_does_not_read_loses_progress_but_no_action(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "BUFFERED", 5)
    terminal = Terminal(tmp_path, f"for i in $(seq 50); do {STEP}; done")
    terminal.control.request(terminal.control.plan("up"))
    deadline = time.monotonic() + 10
    while any(thread.name.startswith("devenv-action") for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    terminal.records = terminal.control.drain()
    assert terminal.phases() == [Phase.REQUESTED, Phase.RUNNING, Phase.DONE]
    assert len(terminal.records) <= 6


def test_the_terminal_offers_to_restart_who_shares_a_namespace(tmp_path: Path) -> None:
    shop = Project("p", "/p", (), (Service("gw"), Service("app", shares=("gw",))))
    terminal = Terminal(tmp_path, f'echo "$@" >{tmp_path}/said; {STEP}', shop)
    plan = terminal.control.plan("restart", ("gw",))
    assert plan.needs_confirmation
    assert plan.sentences[-2:] == (
        "app shares a namespace (network, pid or ipc) of gw and must be restarted with it.",
        "Yes restarts app too.",
    )
    terminal.control.request(plan)
    terminal.until(lambda: Phase.DONE in terminal.phases())
    assert (tmp_path / "said").read_text().split()[-3:] == ["restart", "gw", "app"]


def test_a_change_uses_the_project_as_it_was_resolved_last(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, f'echo "$@" >{tmp_path}/said; {STEP}')
    terminal.options = ComposeOptions(str(tmp_path), files=("/new.yaml",))
    terminal.control.request(terminal.control.plan("up", ("web",)))
    terminal.until(lambda: Phase.DONE in terminal.phases())
    assert (tmp_path / "said").read_text().startswith("compose --file /new.yaml --progress json up")


def test_while_the_file_is_gone_what_exists_is_changed_by_the_name_and_nothing_is_created(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, f'echo "$@" >{tmp_path}/said; {STEP}')
    terminal.project = msgspec.structs.replace(PROJECT, by_labels=True, problem="The Compose file is gone")
    refused = terminal.control.plan("up", ("web",))
    assert (refused.allowed, "The Compose file is gone" in refused.reason) == (False, True)
    terminal.control.request(terminal.control.plan("restart", ("web",)))
    terminal.until(lambda: Phase.DONE in terminal.phases())
    assert (tmp_path / "said").read_text() == "compose --project-name p --progress json restart web\n"


def test_in_a_folder_that_is_gone_a_change_fails_with_that_reason(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, STEP)
    terminal.options = ComposeOptions(str(tmp_path / "moved"))
    terminal.control.request(terminal.control.plan("restart", ("web",)))
    terminal.until(lambda: Phase.FAILED in terminal.phases())
    assert terminal.last().detail == f"The folder {tmp_path / 'moved'} is gone"
    assert "docker" not in terminal.last().hint
