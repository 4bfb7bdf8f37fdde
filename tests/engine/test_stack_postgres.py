"""The PostgreSQL image, whichever the engine has, used as Compose and the manifests use it."""

from __future__ import annotations

import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stack_images import Images, run

from scripts.machine.postgres_image import POSTGRES_IMAGE

pytestmark = pytest.mark.engine

DATA = "/var/lib/postgresql/data"
HALF_MADE = f"{DATA}/pgdata/.being-made"
PSQL = ("psql", "-U", "docsearch", "-d", "docsearch", "-tA", "-c")


class Database:
    """A container with a volume; the container can be made again on it."""

    def __init__(self, image: str, password: Path) -> None:
        self.image, self.password = image, password
        self.name = f"devenv-test-{uuid.uuid4().hex[:8]}"

    def start(self, *arguments: str) -> None:
        self.remove()
        run(
            "docker", "run", "--detach", "--name", self.name, "--network=none", "--read-only", "--cap-drop=ALL",
            "--security-opt=no-new-privileges", "--user=999:999",
            "--tmpfs=/tmp", "--tmpfs=/var/run/postgresql:mode=0777",
            f"--volume={self.name}:{DATA}", f"--volume={self.password}:/run/secrets/password:ro",
            "--env=POSTGRES_USER=docsearch", "--env=POSTGRES_DB=docsearch", f"--env=PGDATA={DATA}/pgdata",
            "--env=POSTGRES_PASSWORD_FILE=/run/secrets/password", *arguments, self.image,
        )  # fmt: skip

    def execute(self, *command: str) -> subprocess.CompletedProcess[str]:
        command = ("docker", "exec", self.name, *command)
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    def query(self, statement: str) -> str:
        done = self.execute(*PSQL, statement)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, self.logs()
            time.sleep(0.05)

    def until_ready(self) -> None:
        self.until(lambda: self.execute("pg_isready", "-h", "127.0.0.1").returncode == 0)

    def logs(self) -> str:
        done = subprocess.run(["docker", "logs", self.name], capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    def exit_code(self) -> int:
        return int(run("docker", "wait", self.name, limit=60))

    def remove(self) -> None:
        run("docker", "rm", "--force", self.name)


@pytest.fixture
def database(stack_images: Images, tmp_path: Path) -> Iterator[Database]:
    password = tmp_path / "password"
    password.write_text("with 'quotes' \"and\" $signs\n")
    password.chmod(0o444)
    made = Database(stack_images.postgres, password)
    yield made
    made.remove()
    run("docker", "volume", "rm", "--force", made.name)


def test_it_keeps_its_data_asks_for_the_password_and_stops_with_clients_connected(database: Database) -> None:
    database.start()
    database.until_ready()
    assert database.query("SHOW server_encoding") == "UTF8"
    database.query("CREATE TABLE kept AS SELECT 1")
    login = ("env", "PGPASSWORD=with 'quotes' \"and\" $signs", *PSQL[:1], "-h", "127.0.0.1", *PSQL[1:])
    assert database.execute(*login, "SELECT 1").stdout == "1\n"
    wrong = database.execute("env", "PGPASSWORD=wrong", *login[2:], "SELECT 1")
    assert "password authentication failed" in wrong.stderr
    with subprocess.Popen(
        ["docker", "exec", database.name, *PSQL, "SELECT pg_sleep(60)"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ):
        database.until(
            lambda: database.query("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%sleep(60)'") != "0"
        )
        began = time.monotonic()
        run("docker", "stop", "--time=30", database.name)
        assert time.monotonic() - began < 20
    assert database.exit_code() == 0
    database.start()
    database.until_ready()
    assert database.query("SELECT * FROM kept") == "1"


def test_without_a_password_it_says_what_is_missing(database: Database) -> None:
    database.start("--env=POSTGRES_PASSWORD_FILE=")
    assert database.exit_code() != 0
    assert "POSTGRES_PASSWORD" in database.logs()


def test_a_first_start_that_was_killed_is_begun_again(database: Database) -> None:
    if not POSTGRES_IMAGE.is_ours(database.image):
        pytest.skip("the official image takes what was begun for a whole database; here it was pulled, not made")
    for seen in (
        HALF_MADE,
        f"{HALF_MADE}/global/pg_control",
    ):
        database.start()
        database.until(lambda path=seen: database.execute("test", "-e", path).returncode == 0)
        run("docker", "kill", "--signal=KILL", database.name)
    database.start()
    database.until_ready()
    assert database.query("SELECT current_database()") == "docsearch"
    assert database.execute("test", "-e", HALF_MADE).returncode == 1


def test_files_that_are_no_database_are_left_alone(database: Database) -> None:
    run(
        "docker", "run", "--rm", f"--volume={database.name}:{DATA}", "--user=999:999", "--entrypoint=sh",
        database.image, "-c", f"mkdir {DATA}/pgdata && echo mine >{DATA}/pgdata/file",
    )  # fmt: skip
    database.start()
    assert database.exit_code() != 0
    kept = run(
        "docker", "run", "--rm", f"--volume={database.name}:/data", "--user=999:999", "--entrypoint=cat",
        database.image, "/data/pgdata/file",
    )  # fmt: skip
    assert kept == "mine"
