"""A real PostgreSQL for tests: its own data in a folder, its own socket and port, run by a user that is not root."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
from _backend import wait_for
from _frontend import closed_port
from docindexer.postgres_conninfo import Address
from docindexer.postgres_store import PostgresStore

USER = "docsearch"
HINT = "install the PostgreSQL server (scripts/postgres-server does it on Debian as root)"


def program(name: str) -> str:
    """Return the path of one of the server's programs, which Debian keeps out of PATH; the newest version's."""
    packaged = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    found = str(packaged[-1]) if packaged else shutil.which(name)
    assert found, f"{name} was not found: {HINT}"
    return found


class Postgres:
    """One server; `folder` holds everything of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.password_file = folder / "password"
        self.port = closed_port()
        self._process: subprocess.Popen[bytes] | None = None

    def create(self, *arguments: str) -> None:
        """Make an empty data folder; the role needs a password over TCP and none on the socket."""
        self.password_file.write_text("first\n")
        _own(self.folder, self.password_file)
        self._run(
            "initdb", "--pgdata", str(self.data), "--username", USER, "--encoding=UTF8", "--no-locale", "--no-sync",
            "--auth-local=trust", "--auth-host=scram-sha-256", "--pwfile", str(self.password_file), *arguments,
        )  # fmt: skip

    def copy_of(self, primary: Postgres, name: str) -> None:
        """Become a standby that streams from a running primary, called `name` there."""
        _own(self.folder)
        source = f"host={primary.folder} port={primary.port} user={USER} application_name={name}"
        self._run("pg_basebackup", "--pgdata", str(self.data), "--dbname", source, "--no-sync", "-R", "-c", "fast")

    def start(self, settings: Mapping[str, str] | None = None) -> None:
        """Start the server and wait until it answers."""
        chosen = {"port": str(self.port), "unix_socket_directories": str(self.folder), "listen_addresses": "127.0.0.1"}
        chosen |= {"shared_buffers": "16MB", "max_connections": "60", **(settings or {})}
        options = [word for name, value in chosen.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [program("postgres"), "-D", self.data, *options],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True, **_identity(),
            )  # fmt: skip
        wait_for(self.answers, "PostgreSQL to answer", self.log, seconds=20)

    def answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log()
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        """Connect on the socket as the superuser."""
        return psycopg.connect(host=str(self.folder), port=self.port, user=USER, dbname=database, autocommit=True)

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        with self.connect() as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def new_schema(self) -> str:
        """Create an empty schema and return its name."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        self.execute(f"CREATE SCHEMA {name}")
        return name

    def store(self, schema: str = "public", **limits: int) -> PostgresStore:
        """Return a store in a schema; the caller closes it. One without limits waits for a busy machine, too."""
        patience = "" if limits else "&connect_timeout=30"
        return PostgresStore(Address(self.url(schema) + patience, self.password_file), **limits)

    def url(self, schema: str = "public") -> str:
        """Return a DATABASE_URL over TCP without a password."""
        options = quote(f"-c search_path={schema}", safe="")
        return f"postgresql://{USER}@127.0.0.1:{self.port}/postgres?options={options}"

    def send(self, number: int) -> None:
        """Send a signal to the postmaster; SIGKILL goes to it alone, as a crash does."""
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self, number: int = signal.SIGINT) -> None:
        """End the server: SIGINT is a fast shutdown, SIGQUIT one without writing anything, SIGKILL a crash."""
        if self._process is not None and self._process.poll() is None:
            self.send(signal.SIGCONT)
            self.send(number)
            self._process.wait(timeout=20)
        self._process = None

    def crash(self) -> None:
        """Kill the postmaster and wait until the processes that it started noticed and are gone."""
        assert self._process is not None
        children = psutil.Process(self._process.pid).children(recursive=True)
        self.stop(signal.SIGKILL)
        psutil.wait_procs(children, timeout=20)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop every process: connections stay, nobody answers, the kernel still takes what is sent."""
        assert self._process is not None
        everyone = [psutil.Process(self._process.pid)]
        everyone += everyone[0].children(recursive=True)
        for process in everyone:
            process.suspend()
        try:
            yield
        finally:
            for process in everyone:
                process.resume()

    def promote(self) -> None:
        self._run("pg_ctl", "promote", "-D", str(self.data), "-t", "20")

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-3000:]

    def _run(self, name: str, *arguments: str) -> None:
        done = subprocess.run(
            [program(name), *arguments], capture_output=True, text=True, timeout=60, check=False, cwd=self.folder,
            **_identity(),
        )  # fmt: skip
        assert done.returncode == 0, f"{name}: {done.stderr}"


def _account() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise AssertionError("neither a user postgres nor nobody is there: run the tests as another user than root")


def _identity() -> dict[str, int]:
    """Return whom to run the server as: it refuses to be root."""
    if os.geteuid() != 0:
        return {}
    return {"user": _account().pw_uid, "group": _account().pw_gid, "umask": 0o077}


def _own(*paths: Path) -> None:
    if os.geteuid() == 0:
        for path in paths:
            os.chown(path, _account().pw_uid, _account().pw_gid)


@contextmanager
def server_folder() -> Iterator[Path]:
    """Give a folder that the server's user can reach, with a name short enough for a socket (107 bytes)."""
    with tempfile.TemporaryDirectory(prefix="pg-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@contextmanager
def postgres(**settings: str) -> Iterator[Postgres]:
    """Create and run a server; nothing of it is left afterwards."""
    with server_folder() as folder:
        server = Postgres(folder)
        server.create()
        try:
            server.start(settings)
            yield server
        finally:
            server.stop(signal.SIGQUIT)  # its data is deleted
