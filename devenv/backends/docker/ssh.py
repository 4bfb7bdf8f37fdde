"""ssh:// endpoints: HTTP through `ssh HOST docker system dial-stdio`, as the docker CLI does it.

The SDK's own transport needs paramiko even where it runs the ssh program, and cannot be closed from outside.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from http.client import HTTPException
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from urllib3.connection import HTTPConnection

from devenv.core.errors import EngineUnreachable, ToolMissing, UsageError
from devenv.core.text import sanitize


def ssh_command(host: str) -> list[str]:
    """Return the command for ssh://[user@]host[:port][/socket/on/that/machine]; raises UsageError.

    BatchMode, because a question for a password would be asked behind the screen.
    """
    parts = urlsplit(host)
    try:
        port = parts.port
    except ValueError as error:
        raise UsageError(f"ssh://{parts.hostname}: {error}", "Use ssh://user@host:port.") from error
    if not parts.hostname or parts.password or parts.query or parts.fragment:
        raise UsageError(
            f"ssh://{parts.hostname or ''}: not an address for ssh",
            "Use ssh://user@host:port; keys instead of passwords.",
        )
    command = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-T"]
    if parts.username:
        command += ["-l", unquote(parts.username)]
    if port:
        command += ["-p", str(port)]
    remote = ["--host", f"unix://{parts.path}"] if parts.path.strip("/") else []
    return [*command, "--", parts.hostname, "docker", *remote, "system", "dial-stdio"]


class SshConnection(HTTPConnection):
    """One ssh process, whose standard input and output are one end of a socket pair: it can be shut down like any."""

    ssh: list[str]
    _process: subprocess.Popen[bytes] | None = None
    _errors: IO[bytes] | None = None
    _said: str = ""

    def connect(self) -> None:
        """Start ssh."""
        ours, theirs = socket.socketpair()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - `close` closes it
        try:
            with theirs:
                # A session of its own: ctrl-c in the terminal must not end it, and it must not ask on the terminal.
                end = theirs.fileno()
                self._process = subprocess.Popen(
                    self.ssh, stdin=end, stdout=end, stderr=self._errors, start_new_session=True
                )
        except FileNotFoundError as error:
            ours.close()
            raise ToolMissing("there is no ssh program", "Install the OpenSSH client.") from error
        ours.settimeout(self.timeout if isinstance(self.timeout, int | float) else None)
        self.sock = ours

    def send(self, data: Any) -> None:
        """Send a part of the request."""
        with self._explained():
            super().send(data)

    def getresponse(self) -> Any:
        """Read the response."""
        with self._explained():
            return super().getresponse()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Where the connection breaks, say what ssh said."""
        try:
            yield
        except (OSError, HTTPException) as error:
            complaint = self._complaint()
            if not complaint:
                raise
            raise EngineUnreachable(
                f"ssh does not reach the engine: {complaint}",
                f"This must work without a question: {' '.join(self.ssh[:-2])} version",
            ) from error

    def close(self) -> None:
        """Close the connection and end ssh; what it complained of is kept."""
        super().close()
        process, self._process = self._process, None
        if process is not None and not _ended(process, 0.2):
            process.terminate()
            _ended(process, 1.0)
        if self._errors is not None:
            self._errors.seek(0)
            self._said = sanitize(self._errors.read(2000).strip())
            self._errors.close()
            self._errors = None

    def _complaint(self) -> str:
        # http.client closes the connection itself for some errors, and for others not.
        self.close()
        return self._said


def _ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True
