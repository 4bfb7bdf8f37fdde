"""Where the PostgreSQL database is and how to log in to it, from DATABASE_URL and DATABASE_PASSWORD_FILE."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

# What the URL may set otherwise (https://www.postgresql.org/docs/current/libpq-connect.html). With the last four, a
# server whose machine vanished is noticed after about 10 s, and not after the kernel's 15 minutes.
_DEFAULTS = {
    "application_name": "docindexer",
    "connect_timeout": "2",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}


@dataclass(frozen=True, slots=True)
class Address:
    """A database and the file that its password is read from at each new connection, so that it can be changed."""

    url: str = field(repr=False)
    password_file: Path | None = None

    def problem(self) -> str | None:
        """Return what is wrong with the URL in words without it, because it may hold a password; None for nothing."""
        try:
            found = conninfo_to_dict(self.url)
            ports = [int(port) for port in str(found.get("port") or "5432").split(",")]
        except (psycopg.ProgrammingError, ValueError):
            return "it must be like postgresql://user@host:5432/database"
        if not all(0 < port < 65536 for port in ports):
            return "a port is a number from 1 to 65535"
        if self.password_file is not None and found.get("password"):
            return "it has a password, and DATABASE_PASSWORD_FILE names another: use one of them"
        return None

    def parameters(self, lock_ms: int, statement_ms: int) -> dict[str, Any]:
        """Return libpq's parameters for a new connection; raises OSError when the password cannot be read."""
        found: dict[str, Any] = _DEFAULTS | {name: value for name, value in conninfo_to_dict(self.url).items() if value}
        if "," in str(found.get("host", "")):
            # Of several servers the one that takes writes, which is another one after a failover.
            found.setdefault("target_session_attrs", "read-write")
        # No compiler: it takes longer than any query here, and starts for estimates that are far too high.
        ours = (
            f"-c statement_timeout={statement_ms} -c lock_timeout={lock_ms}"
            f" -c idle_in_transaction_session_timeout={statement_ms} -c client_min_messages=warning -c jit=off"
        )
        found["options"] = f"{ours} {found.get('options', '')}".strip()
        if self.password_file is not None:
            found["password"] = self.password_file.read_text(encoding="utf-8").rstrip("\r\n")
        return found
