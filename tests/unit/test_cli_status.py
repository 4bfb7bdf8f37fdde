"""`devenv status`: containers sorted to services, one word for each, the table and the documented JSON."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from devenv.backends.docker.cache import absent_services
from devenv.cli.grouping import Summary, group
from devenv.cli.status import to_json, to_table
from devenv.core.model import Dependency, Health, HealthCheck, Port, Project, Resource, Runtime, Service, State
from devenv.core.why import why

DOCUMENT = Path(__file__).parents[2] / "docs" / "STATUS_JSON.md"


def container(service: str, state: State = State.RUNNING, **changes: object) -> Resource:
    made = Resource(f"docker/{service}", Runtime.COMPOSE, "container", f"p-{service}-1", service, state)
    return replace(made, **{"container_id": service, "restarts": 0, **changes})  # type: ignore[arg-type]  # real fields


def project(*services: Service) -> Project:
    return Project("p", "/p", ("/p/compose.yaml",), services)


ONE = project(Service("web"))


@pytest.mark.parametrize(
    ("containers", "word"),
    [
        ((), "absent"),
        ((container("web"),), "running"),
        ((container("web", health=Health.STARTING),), "starting"),
        ((container("web", health=Health.HEALTHY),), "healthy"),
        ((container("web", health=Health.UNHEALTHY),), "unhealthy"),
        ((container("web", State.EXITED, exit_code=0),), "completed"),
        ((container("web", State.EXITED, exit_code=1),), "failed"),
        ((container("web", State.EXITED, exit_code=143),), "stopped"),
        ((container("web", State.EXITED, exit_code=137),), "stopped"),
        ((container("web", State.EXITED, exit_code=137, oom_killed=True),), "failed"),
        ((container("web", State.RESTARTING, exit_code=1),), "restarting"),
        ((container("web", State.PAUSED),), "paused"),
        ((container("web", State.CREATED),), "created"),
        ((container("web", State.CREATED, error="no such program"),), "failed"),
        ((container("web", State.DEAD),), "failed"),
        ((container("web", State.UNKNOWN),), "failed"),
        ((container("web", health=Health.HEALTHY), container("web", State.EXITED, exit_code=1)), "failed"),
        ((container("web", one_off=True),), "absent"),
    ],
)
def test_one_word_for_a_service(containers: tuple[Resource, ...], word: str) -> None:
    assert group(ONE, containers).services[0].summary.value == word


def test_fewer_containers_than_declared_are_partial() -> None:
    three = project(Service("web", replicas=3))
    assert group(three, (container("web"), container("web"))).services[0].summary is Summary.PARTIAL
    none = project(Service("web", replicas=0))
    assert group(none, ()).services[0].summary is Summary.RUNNING


def test_a_service_of_a_provider_is_not_absent() -> None:
    provided = project(Service("database", replicas=0, provider="cloud"))
    assert [item.state for item in absent_services(provided, ())] == [State.PROVIDED]
    grouped = group(provided, absent_services(provided, ()))
    assert grouped.services[0].summary is Summary.PROVIDED
    assert " ".join(to_table(grouped, 0.0)[1].split()) == "database provided made by the provider cloud"


def test_every_word_is_documented() -> None:
    text = DOCUMENT.read_text("utf-8")
    assert [word.value for word in Summary if f"`{word.value}`" not in text] == []


def test_what_belongs_to_no_service_is_an_orphan_and_absent_records_are_not_containers() -> None:
    absent = Resource("compose/p/web", Runtime.COMPOSE, "service", "web", "web", State.ABSENT)
    grouped = group(ONE, (absent, container("gone"), container("web", one_off=True)))
    assert [item.service for item in grouped.orphans] == ["gone"]
    assert grouped.services[0].containers == ()
    assert len(grouped.services[0].one_offs) == 1


def test_the_json_has_exactly_the_documented_fields() -> None:
    web = container("web", ports=(Port(80, "tcp", 8080, "127.0.0.1"),), exit_code=0, started_at=1.5)
    found = to_json(ONE, group(ONE, (web, container("gone"))))
    assert list(found) == ["schema", "at", "project", "services", "orphans"]
    assert found["project"] == {"name": "p", "directory": "/p", "files": ["/p/compose.yaml"]}
    (service,) = found["services"]  # type: ignore[misc]  # JSON
    assert list(service) == ["name", "state", "why", "replicas", "containers", "one_offs"]
    (item,) = service["containers"]
    text = DOCUMENT.read_text("utf-8")
    assert [key for key in item if f"`{key}`" not in text] == []
    assert item["exit_code"] is None, "it runs: what the engine says of an earlier run is no exit code"
    assert item["started_at"] == "1970-01-01T00:00:01.500+00:00"
    assert item["ports"] == [{"container": 80, "protocol": "tcp", "host": 8080, "host_ip": "127.0.0.1"}]
    (orphan,) = found["orphans"]  # type: ignore[misc]  # JSON
    assert orphan["service"] == "gone"


def test_the_table() -> None:
    many = project(Service("db"), Service("web"), Service("job"))
    resources = (
        container("web", health=Health.HEALTHY, started_at=40.0, ports=(Port(80, host=8080, host_ip="::"), Port(81))),
        container("job", State.EXITED, exit_code=137, oom_killed=True, finished_at=90.0, restarts=2),
        container("gone", one_off=True),
        container("debug"),
    )
    declared = {"db": (), "web": (), "job": (), "debug": ("tools", "debug")}
    grouped = group(many, resources)
    lines = to_table(grouped, now=100.0, declared=declared)
    assert [" ".join(line.split()) for line in lines] == [
        "SERVICE CONTAINER STATE HEALTH RESTARTS EXIT PORTS AGE WHY",
        "db absent",
        "web p-web-1 running healthy 0 [::]:8080->80, 81 1m",
        "job p-job-1 exited 2 137 (OOM) 10s ran out of memory (OOM), exited with code 137",
        "debug (inactive profile) p-debug-1 running 0 its profile is not active (--profile tools)",
        "gone (orphan) p-gone-1 (one-off) running 0 the files declare no such service",
    ]
    for width in (80, 60):
        narrow = to_table(grouped, 100.0, declared, width)
        assert max(map(len, narrow)) <= width
        words = " ".join(" ".join(narrow).split())
        for told in ("SERVICE STATE", "WHY", "db absent", "web healthy", "(OOM)", "--profile tools", "no such service"):
            assert told in words, (width, told)
    wide = to_table(grouped, 100.0, declared, 200)
    assert len(wide) == len(lines), "nothing is wrapped where there is room"


@pytest.mark.parametrize("width", [80, 100, 200])
def test_replicas_and_long_names_stay_apart_on_a_narrow_terminal(width: int) -> None:
    names = [f"a-service-with-quite-a-long-name-{end}" for end in ("one", "two")]
    resources = [
        container(name, State.EXITED, exit_code=1, name=f"p-{name}-{number}", number=number, key=f"{name}{number}")
        for name in names
        for number in (1, 2)
    ]
    lines = to_table(group(project(*(Service(name, replicas=2) for name in names)), resources), 0.0, None, width)
    assert max(map(len, lines)) <= width
    squeezed = "".join(line[: lines[0].index("STATE")].strip() for line in lines)
    for name in names:
        assert f"{name}-2" in squeezed or f"p-{name}-2" in "\n".join(lines)


@pytest.mark.parametrize(
    ("state", "fields", "told"),
    [
        (State.RUNNING, {}, ""),
        (State.EXITED, {"exit_code": 0}, ""),
        (State.EXITED, {"exit_code": 3}, "exited with code 3"),
        (State.EXITED, {"exit_code": 127}, "exited with code 127: its command was not found"),
        (State.EXITED, {"exit_code": 143}, "ended by SIGTERM (exit code 143)"),
        (State.EXITED, {"exit_code": 137, "oom_killed": True}, "ran out of memory (OOM), exited with code 137"),
        (State.EXITED, {"exit_code": 128, "error": "port is taken"}, "port is taken"),
        (State.CREATED, {}, "created, never started"),
        (
            State.CREATED,
            {"error": 'failed to create task for container: OCI runtime create failed: exec: "/x": no such file\n'},
            'could not be started: exec: "/x": no such file',
        ),
        (
            State.CREATED,
            {
                "error": "failed to set up container networking: driver failed programming external connectivity on "
                "endpoint p-web-1 (5ad14c33688e1d71): Bind for 0.0.0.0:80 failed: port is already allocated"
            },
            "could not be started: Bind for 0.0.0.0:80 failed: port is already allocated",
        ),
        (State.RESTARTING, {"exit_code": 1}, "exited with code 1, is started again"),
        (State.RESTARTING, {"exit_code": 0}, "ended with 0, is started again"),
        (State.PAUSED, {}, "paused: docker compose unpause"),
        (State.DEAD, {}, "the engine could not remove it"),
        (
            State.RUNNING,
            {"health": Health.UNHEALTHY, "checks": (HealthCheck(0.0, 1.0, 7, "\n[/foo] refused\nmore"),)},
            "its health check failed with 7: [/foo] refused",
        ),
        (State.RUNNING, {"health": Health.UNHEALTHY}, "its health check keeps failing"),
    ],
)
def test_why_a_container_is_as_it_is(state: State, fields: dict[str, object], told: str) -> None:
    assert why(container("web", state, **fields)) == told


def test_what_was_created_and_not_started_says_what_it_waits_for(tmp_path: Path) -> None:
    needs = (Dependency("db", "service_healthy"), Dependency("job", "service_completed_successfully"), Dependency("on"))
    here = project(
        Service("web", depends_on=needs),
        Service("db"),
        Service("job"),
        Service("on"),
        Service("lacks", env_files=(str(tmp_path / "no.env"), str(tmp_path))),
    )
    resources = (
        container("web", State.CREATED),
        container("db", health=Health.STARTING),
        container("job"),
        container("on"),
    )
    told = {line.split()[0]: line for line in to_table(group(here, resources), 0.0)}
    assert told["web"].endswith("not started: waits for db to be healthy and job to be completed")
    assert told["lacks"].endswith(f"its env_file {tmp_path / 'no.env'} does not exist")


def test_services_that_are_named_are_shown_alone_and_know_all_the_others() -> None:
    two = project(Service("web", depends_on=(Dependency("db"),)), Service("db"))
    grouped = group(
        two, (container("web", State.CREATED), container("db", State.EXITED, exit_code=1), container("old"))
    )
    assert [row["name"] for row in to_json(two, grouped, ["web"])["services"]] == ["web"]  # type: ignore[attr-defined]
    assert to_json(two, grouped, ["web"])["orphans"] == []
    lines = to_table(grouped, 0.0, only=["web"])
    assert len(lines) == 2
    assert "db" in lines[1], "why it waits is told by a service that is not shown"
    assert to_json(two, grouped, ["old"])["services"] == []
    assert len(to_json(two, grouped, ["old"])["orphans"]) == 1  # type: ignore[arg-type]


def test_wide_has_ids_and_images() -> None:
    grouped = group(ONE, (container("web", container_id="0123456789abcdef", image="shop-web:dev"),))
    head, row = to_table(grouped, 0.0, wide=True)
    assert head.split()[:5] == ["SERVICE", "CONTAINER", "ID", "IMAGE", "STATE"]
    assert row.split()[:5] == ["web", "p-web-1", "0123456789ab", "shop-web:dev", "running"]
    assert "IMAGE" not in to_table(grouped, 0.0)[0]
