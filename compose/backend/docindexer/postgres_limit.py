"""An end for what takes too long on a connection: the server is asked to give it up, then the connection is cut.

statement_timeout alone is not enough. It does not end a COMMIT that waits for a synchronous standby, and a server that
is stopped, or out of reach, does not even count the time. Asking first matters: a server does not notice by itself
that the other side of a connection has gone while it waits, and would keep that connection's place for as long.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

log = logging.getLogger("docindexer.store")


@dataclass(frozen=True, slots=True)
class Limit:
    """How many seconds something may take, and how many more the server gets to end it when asked to."""

    seconds: float
    grace: float


@contextmanager
def bounded(connection: psycopg.Connection[Any], limit: Limit) -> Iterator[None]:
    """Make the block end in time: whoever waits on the connection in it gets an error of psycopg."""
    done = threading.Event()
    # A duplicate, because the number of a closed socket may belong to another file a moment later.
    with socket.socket(fileno=os.dup(connection.fileno())) as handle:
        timer = threading.Timer(limit.seconds, _end, (connection, handle, limit.grace, done))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            done.set()
            timer.cancel()
            timer.join()


def _end(connection: psycopg.Connection[Any], handle: socket.socket, grace: float, done: threading.Event) -> None:
    if done.is_set():
        return
    log.warning("the database takes too long, asking it to give up")
    try:
        connection.cancel_safe(timeout=grace)
    except psycopg.Error as error:
        log.warning("the database does not listen", extra={"reason": str(error)})
    else:
        done.wait(grace)
    # Cut in any case: a request to give up that comes late must not meet the next user of the connection.
    try:
        handle.shutdown(socket.SHUT_RDWR)
    except OSError as error:
        log.info("the connection was cut already", extra={"reason": str(error)})
