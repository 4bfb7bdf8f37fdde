"""The body of an answer does not wait for the acknowledgement of its head."""

from __future__ import annotations

import socket

import uvicorn
from docshared.listening import bind


def test_connections_send_without_delay() -> None:
    with bind(uvicorn.Config("", port=0, log_config=None)) as listener:
        listener.listen()
        with socket.create_connection(listener.getsockname()), listener.accept()[0] as accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
