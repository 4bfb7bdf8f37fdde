"""Faults in the Compose file and the images."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from mutation import COMPOSE, FRONTEND, Mutation, of_service, replace, replace_all

from devenv.backends.docker.endpoint import resolve_endpoint

CRASHES = frozenset(
    f"test_crash_recovery.py::{name}"
    for name in (
        "test_main_process_killed_from_the_host[backend]",
        "test_crash_inside",
        "test_out_of_memory",
        "test_hung_process",
    )
)
FRONTEND_KILLED = "test_crash_recovery.py::test_main_process_killed_from_the_host[frontend]"
ENGINE_RESTARTED = "test_engine_restart.py::test_engine_restarted"
IN_FLIGHT = "test_graceful_stop.py::test_requests_in_flight_finish"
SYNTAX_ERROR = "test_hot_reload.py::test_a_syntax_error_is_told_and_mended"
STORE_AWAY = "test_broken_store.py::test_store_goes_away_and_comes_back"
VOLUME = "- {type: volume, source: data, target: /data}"
FIRST_ENDPOINT = '[[verify.endpoint]]\nname = "backend"\n'
BACKEND_CHECK = '[CMD, python3, -m, docshared.healthcheck, "http://127.0.0.1:8000/ready"]'


def data_in_a_folder(folder: Path) -> None:
    data = folder / "compose" / "data"
    data.mkdir()
    data.chmod(0o777)
    replace(COMPOSE, VOLUME, "- {type: bind, source: ./data, target: /data}")(folder)


def engine_socket(folder: Path) -> None:
    mount = f"{{type: bind, source: {urlsplit(resolve_endpoint().host).path}, target: /run/engine, read_only: true}}"
    sources = "      - type: bind\n        source: ./frontend/docfront\n"
    replace(COMPOSE, sources, f"      - {mount}\n{sources}")(folder)


def page_missing(folder: Path) -> None:
    (folder / FRONTEND / "static" / "index.html").unlink()


MUTATIONS = (
    Mutation(
        "no-restart-policy",
        "the services have no restart policy",
        (replace(COMPOSE, "restart: unless-stopped", 'restart: "no"'),),
        CRASHES | {FRONTEND_KILLED, ENGINE_RESTARTED},
    ),
    Mutation(
        "no-volume",
        "the data is in memory instead of in a volume",
        (replace(COMPOSE, VOLUME, "- {type: tmpfs, target: /data, tmpfs: {mode: 511}}"),),
        CRASHES
        | {ENGINE_RESTARTED, IN_FLIGHT}
        | {
            f"test_persistence.py::{name}"
            for name in ("test_restart", "test_stop_and_start", "test_down_and_up", "test_new_image")
        },
        alone=True,
    ),
    Mutation(
        "anonymous-volume",
        "the data is in a volume without a name",
        (replace(COMPOSE, VOLUME, "- {type: volume, target: /data}"),),
        frozenset({"test_persistence.py::test_down_and_up"}),
        place="data",
        quick=True,
    ),
    Mutation(
        "data-in-a-folder",
        "the data is in a folder that down -v does not know",
        (data_in_a_folder,),
        frozenset({"test_persistence.py::test_down_with_volumes"}),
        place="data",
    ),
    Mutation(
        "wrong-health-path",
        "the frontend's health check asks a path that is not there",
        (replace(COMPOSE, "3000/health", "3000/healthz"),),
        None,
    ),
    Mutation(
        "health-without-store",
        "the backend's health check asks a path that never asks the store",
        (replace(COMPOSE, "8000/ready", "8000/health"),),
        frozenset({STORE_AWAY}),
    ),
    Mutation(
        "health-by-connection",
        "the backend's health check only connects",
        (
            replace(
                COMPOSE,
                BACKEND_CHECK,
                "[CMD, python3, -c, \"import socket; socket.create_connection(('127.0.0.1', 8000), 2)\"]",
            ),
        ),
        frozenset({STORE_AWAY, SYNTAX_ERROR, "test_crash_recovery.py::test_hung_process"}),
    ),
    Mutation(
        "no-health-check",
        "the frontend has no health check",
        (
            replace(
                COMPOSE,
                '      test: [CMD, python3, -m, docshared.healthcheck, "http://127.0.0.1:3000/health"]\n',
                "      disable: true\n",
            ),
        ),
        frozenset({STORE_AWAY, SYNTAX_ERROR, FRONTEND_KILLED}),
    ),
    Mutation(
        "no-condition",
        "the frontend does not wait until the backend is healthy",
        (replace(COMPOSE, "condition: service_healthy", "condition: service_started"),),
        frozenset({"test_order.py::test_frontend_starts_after_the_backend_was_healthy"}),
        quick=True,
    ),
    Mutation(
        "no-reload",
        "hot reload is off",
        (replace_all(COMPOSE, "${RELOAD:-1}", "${RELOAD:-0}", 2),),
        frozenset(
            {
                SYNTAX_ERROR,
                "test_hot_reload.py::test_a_change_is_served[backend]",
                "test_hot_reload.py::test_a_change_is_served[frontend]",
                # The process that serves is the container's first, which nothing inside can kill.
                "test_crash_recovery.py::test_crash_inside",
            }
        ),
    ),
    Mutation(
        "sources-not-mounted",
        "the frontend runs from its image alone",
        (replace(COMPOSE, "target: /app/docfront", "target: /app/elsewhere"),),
        frozenset(
            {
                SYNTAX_ERROR,
                "test_hot_reload.py::test_a_change_is_served[frontend]",
                "test_hot_reload.py::test_a_change_of_the_page_is_served",
            }
        ),
    ),
    Mutation(
        "root-user",
        "the frontend runs as root",
        (of_service("frontend", 'user: "0:0"'),),
        frozenset({"test_hardening.py::test_processes_have_no_privileges[frontend]"}),
        quick=True,
    ),
    Mutation(
        "capability",
        "the backend keeps a capability",
        (of_service("backend", "cap_add: [NET_RAW]"),),
        frozenset({"test_hardening.py::test_processes_have_no_privileges[backend]"}),
        quick=True,
    ),
    Mutation(
        "new-privileges",
        "the frontend's processes may get new privileges",
        (of_service("frontend", "security_opt: []"),),
        frozenset({"test_hardening.py::test_processes_have_no_privileges[frontend]"}),
    ),
    Mutation(
        "writable-root",
        "the frontend may write to its root file system",
        (of_service("frontend", "read_only: false"),),
        frozenset({"test_hardening.py::test_root_file_system_is_read_only[frontend]"}),
        quick=True,
    ),
    Mutation(
        "no-memory-limit",
        "the backend has no limit of memory and processes",
        (replace(COMPOSE, 'limits: {cpus: "1.0", memory: 384M, pids: 128}', 'limits: {cpus: "1.0"}'),),
        frozenset(
            {"test_hardening.py::test_limits_are_in_force[backend]", "test_crash_recovery.py::test_out_of_memory"}
        ),
    ),
    Mutation(
        "no-process-limit",
        "the frontend has no limit of processes",
        (replace(COMPOSE, "memory: 256M, pids: 64}", "memory: 256M}"),),
        frozenset({"test_hardening.py::test_limits_are_in_force[frontend]"}),
        quick=True,
    ),
    Mutation(
        "no-processor-limit",
        "the backend has no limit of processors",
        (replace(COMPOSE, 'limits: {cpus: "1.0", memory: 384M', "limits: {memory: 384M"),),
        frozenset({"test_hardening.py::test_limits_are_in_force[backend]"}),
    ),
    Mutation(
        "seccomp-unconfined",
        "the backend may call all of the kernel",
        (of_service("backend", 'security_opt: ["no-new-privileges:true", "seccomp:unconfined"]'),),
        frozenset({"test_hardening.py::test_system_calls_are_filtered[backend]"}),
        quick=True,
    ),
    Mutation(
        "engine-socket",
        "the frontend has the engine's socket, read-only",
        (engine_socket,),
        frozenset({"test_hardening.py::test_engine_is_out_of_reach[frontend]"}),
        quick=True,
    ),
    Mutation(
        "unbounded-log",
        "the engine keeps all that the frontend prints",
        (of_service("frontend", "logging: {driver: json-file}"),),
        frozenset({"test_hardening.py::test_logs_are_bounded[frontend]"}),
        quick=True,
    ),
    Mutation(
        "port-on-every-address",
        "the backend's port is open to the network",
        (replace(COMPOSE, '"127.0.0.1:${BACKEND_PORT', '"0.0.0.0:${BACKEND_PORT'),),
        frozenset({"test_hardening.py::test_ports_on_loopback_only[backend]"}),
        quick=True,
    ),
    Mutation(
        "sigterm-ignored",
        "the backend runs below a shell, which as process 1 ignores SIGTERM",
        (of_service("backend", 'command: [sh, -c, "python3 -m docindexer; true"]'),),
        frozenset({"test_graceful_stop.py::test_every_service_ends_by_itself", IN_FLIGHT}),
        alone=True,  # every stop takes 10 s more and ends with SIGKILL
    ),
    Mutation(
        "short-grace",
        "every service is killed a second after it was told to stop",
        (replace(COMPOSE, "stop_grace_period: 10s", "stop_grace_period: 1s"),),
        frozenset({"test_graceful_stop.py::test_every_service_ends_by_itself", IN_FLIGHT}),
    ),
    Mutation(
        "wrong-backend",
        "the frontend asks a port where nobody is",
        (replace(COMPOSE, "http://backend:8000", "http://backend:8001"),),
        frozenset(
            {
                STORE_AWAY,
                IN_FLIGHT,
                "test_reachability.py::test_health_endpoints[frontend]",
                "test_reachability.py::test_search_finds_what_was_written",
            }
        ),
    ),
    Mutation(
        "page-missing",
        "the frontend has no page",
        (page_missing,),
        frozenset(
            {
                "test_cold_start.py::test_from_nothing",
                "test_cold_start.py::test_from_images",
                "test_reachability.py::test_page",
                "test_hot_reload.py::test_a_change_of_the_page_is_served",
            }
        ),
    ),
    Mutation(
        "cold-start-budget",
        "a start that takes longer than its budget",
        (replace("devenv.toml", FIRST_ENDPOINT, f"[verify.budgets]\ncold_start = 0.1\n\n{FIRST_ENDPOINT}"),),
        frozenset({"test_cold_start.py::test_from_nothing"}),
    ),
    Mutation(
        "no-build-cache",
        "the frontend's image is built without the cache",
        (replace(COMPOSE, "      context: ./frontend\n", "      context: ./frontend\n      no_cache: true\n"),),
        frozenset(
            {
                "test_build_cache.py::test_second_build_is_a_no_op",
                "test_build_cache.py::test_a_change_rebuilds_one_image",
                "test_cold_start.py::test_from_nothing",
            }
        ),
    ),
    Mutation(
        "source-before-packages",
        "the backend's image gets its source before its packages",
        (
            replace(
                "compose/backend/Dockerfile",
                "COPY requirements.lock .\n",
                "COPY requirements.lock .\nCOPY docindexer /build/docindexer\n",
            ),
        ),
        frozenset({"test_build_cache.py::test_a_change_rebuilds_one_image"}),
    ),
    Mutation(
        "secret-in-image",
        "a command of the frontend's image has a password",
        (
            replace(
                "compose/frontend/Dockerfile",
                "COPY --from=build /app /app\n",
                "COPY --from=build /app /app\nRUN MYSQL_PWD=vB7-q2Lx9zR4-wK true\n",
            ),
        ),
        frozenset({"test_hardening.py::test_no_secret_in_image[frontend]"}),
        quick=True,
    ),
)
