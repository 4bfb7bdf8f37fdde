"""From PostgreSQL's errors to StoreUnavailable (codes: https://www.postgresql.org/docs/current/errcodes-appendix.html)."""

from __future__ import annotations

from typing import Any

import psycopg

from docindexer.store import StoreUnavailable

# The longest key that a SQLSTATE begins with decides; what is not here is a defect of ours and stays an error.
_STATES = {
    "08": ("store_unreachable", "the connection to the database was lost"),
    "25006": ("store_read_only", "the database takes no writes: it is a standby, or was made read-only"),
    "25P03": ("store_slow", "the database gave up a transaction that took too long"),
    "28": ("store_denied", "the database refused the login: check DATABASE_URL and the password"),
    "3D000": ("store_missing", "the database does not exist: create it, or correct DATABASE_URL"),
    "3F000": ("store_missing", "the schema of the connection's search_path does not exist"),
    "40": ("store_busy", "the database gave up a transaction in favour of another"),
    "42501": ("store_denied", "the role may not do this in the database: check its grants"),
    "42P01": ("store_missing", "the tables are gone: restore them, or restart the service to begin with empty ones"),
    "53": ("store_full", "the database ran out of a resource"),
    "53300": ("store_busy", "the database has as many connections as it takes"),
    "55P03": ("store_locked", "the database is locked by another transaction"),
    "57": ("store_unreachable", "the database is being shut down or started"),
    "57014": ("store_slow", "the database did not finish in time"),
    "58": ("store_io", "the database cannot read or write its files"),
    "XX": ("store_damaged", "the database is damaged, or has a defect"),
}


def is_lost(connection: psycopg.Connection[Any]) -> bool:
    """Say whether nothing can be asked on a connection any more."""
    return connection.closed or connection.broken


def translated(error: psycopg.Error) -> StoreUnavailable | None:
    """Return what an error says about the store, None for one that is a defect of the service."""
    state = error.sqlstate
    if state is None:
        # No word from the server: the connection could not be made, or was lost.
        if isinstance(error, psycopg.OperationalError):
            return StoreUnavailable("store_unreachable", f"the database cannot be reached: {first_line(error)}")
        return None
    for length in (5, 2):
        if found := _STATES.get(state[:length]):
            code, reason = found
            return StoreUnavailable(code, f"{reason} ({first_line(error)})")
    return None


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text: the others are about the statement."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
