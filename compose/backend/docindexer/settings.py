"""The service's configuration, read from the environment once at start (README.md lists every variable)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

LOG_LEVELS = ("debug", "info", "warning", "error", "critical")


class SettingsError(Exception):
    """One or more environment variables hold a value the service cannot use; `problems` has a sentence for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment asked for, checked.

    Sizes are bytes and times are seconds, except where a name says milliseconds.
    """

    database_path: Path = Path("/data/docsearch.db")
    database_url: str = field(default="", repr=False)
    database_password_file: Path | None = None
    database_pool_size: int = 8
    database_timeout_ms: int = 10_000
    host: str = "127.0.0.1"
    port: int = 8000
    log_level: str = "info"
    max_body_bytes: int = 4 * 1024 * 1024
    min_free_bytes: int = 16 * 1024 * 1024
    read_threads: int = 4
    write_threads: int = 2
    max_waiting: int = 100
    read_patience_ms: int = 2000
    write_patience_ms: int = 10_000
    busy_timeout_ms: int = 5000
    ready_timeout_ms: int = 2000
    shutdown_timeout: int = 8
    drain_timeout: int = 0
    reload: bool = False
    revision: str = "unknown"

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read and check the environment; an empty variable counts as unset, as Compose passes `${NAME:-}`.

        Raises SettingsError with every problem found, not only the first.
        """
        reader = _Reader(env)
        default = cls()
        data_dir = reader.text("DATA_DIR", str(default.database_path.parent))
        password_file = reader.text("DATABASE_PASSWORD_FILE", "")
        settings = cls(
            database_path=Path(reader.text("DATABASE_PATH", str(Path(data_dir) / default.database_path.name))),
            database_url=reader.text("DATABASE_URL", ""),
            database_password_file=Path(password_file) if password_file else None,
            database_pool_size=reader.number("DATABASE_POOL_SIZE", default.database_pool_size, 1, 100),
            database_timeout_ms=reader.number("DATABASE_TIMEOUT_MS", default.database_timeout_ms, 100, 600_000),
            host=reader.text("HOST", default.host),
            port=reader.number("PORT", default.port, 0, 65535),
            log_level=reader.choice("LOG_LEVEL", default.log_level, LOG_LEVELS),
            max_body_bytes=reader.number("MAX_BODY_BYTES", default.max_body_bytes, 1024, 256 * 1024 * 1024),
            min_free_bytes=reader.number("MIN_FREE_BYTES", default.min_free_bytes, 0, 2**50),
            read_threads=reader.number("READ_THREADS", default.read_threads, 1, 64),
            write_threads=reader.number("WRITE_THREADS", default.write_threads, 1, 64),
            max_waiting=reader.number("MAX_WAITING", default.max_waiting, 0, 10_000),
            read_patience_ms=reader.number("READ_PATIENCE_MS", default.read_patience_ms, 10, 60_000),
            write_patience_ms=reader.number("WRITE_PATIENCE_MS", default.write_patience_ms, 10, 60_000),
            busy_timeout_ms=reader.number("BUSY_TIMEOUT_MS", default.busy_timeout_ms, 0, 60_000),
            ready_timeout_ms=reader.number("READY_TIMEOUT_MS", default.ready_timeout_ms, 50, 60_000),
            shutdown_timeout=reader.number("SHUTDOWN_TIMEOUT", default.shutdown_timeout, 0, 300),
            drain_timeout=reader.number("DRAIN_TIMEOUT", default.drain_timeout, 0, 300),
            reload=reader.flag("RELOAD", default.reload),
            revision=reader.text("REVISION", default.revision),
        )
        reader.problems += settings.database_problems()
        if reader.problems:
            raise SettingsError(reader.problems)
        return settings

    def database_problems(self) -> list[str]:
        """Return what is wrong with where the documents are to be kept, without a password that is in it."""
        if not self.database_url:
            alone = "DATABASE_PASSWORD_FILE is set, but not DATABASE_URL: the SQLite database has no password"
            return [alone] if self.database_password_file else []
        if not self.database_url.startswith(("postgresql://", "postgres://")):
            return ["DATABASE_URL must be like postgresql://user@host:5432/database; unset it for SQLite in DATA_DIR"]
        # Not at the top: the driver costs a service on SQLite 0.1 s and 8 MB.
        from docindexer.postgres_conninfo import Address

        problem = Address(self.database_url, self.database_password_file).problem()
        return [f"DATABASE_URL is not usable: {problem}"] if problem else []


class _Reader:
    """Takes values out of an environment and remembers what is wrong with them."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self.problems: list[str] = []

    def text(self, name: str, default: str) -> str:
        return self._env.get(name, "").strip() or default

    def number(self, name: str, default: int, low: int, high: int) -> int:
        def parse(value: str) -> int | None:
            plain = value.isascii() and value.isdigit() and len(value) < 20
            return int(value) if plain and low <= int(value) <= high else None

        return self._parsed(name, default, parse, f"a whole number from {low} to {high}")

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        def parse(value: str) -> str | None:
            return value.lower() if value.lower() in allowed else None

        return self._parsed(name, default, parse, "one of " + ", ".join(allowed))

    def flag(self, name: str, default: bool) -> bool:
        words = dict.fromkeys(("1", "true", "yes", "on"), True) | dict.fromkeys(("0", "false", "no", "off"), False)
        return self._parsed(name, default, lambda value: words.get(value.lower()), "1 or 0")

    def _parsed(self, name: str, default: T, parse: Callable[[str], T | None], wanted: str) -> T:
        value = self.text(name, "")
        if not value:
            return default
        parsed = parse(value)
        if parsed is None:
            self.problems.append(f"{name} is {value!r}: it must be {wanted}")
            return default
        return parsed
