"""Constant load, from inside the cluster: this file is sent to a pod's python3, so it needs nothing but that.

It reads one line of JSON, then lines: `tell` prints the progress, `stop` ends it. An open model: requests start on a
schedule whatever became of those before, as many users do who know nothing of each other. `kept`: so many connections
are used again in turn, as a proxy or a browser does; one that the server has closed is noticed before it is used, as
clients do. A connection that breaks once a request was sent on it is a failure. `kept` 0: each request has a new one.
"""

from __future__ import annotations

import http.client
import json
import select
import sys
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

MOST = 4000  # requests of one run: it ends by itself
AT_ONCE = 64


class Load:
    """What is sent and what comes back."""

    def __init__(self, order: dict[str, Any]) -> None:
        parts = urlsplit(order["url"])
        self.host, self.port = parts.hostname or "", parts.port or 80
        self.rate, self.kept, self.patience = order["rate"], order["kept"], order["patience"]
        self.calls = order["calls"]
        self.idle: deque[http.client.HTTPConnection] = deque()
        self.live = 0  # connections that are kept, idle ones and those in use
        self.lock = threading.Lock()
        self.over = threading.Event()
        self.sent = 0
        self.answered = 0
        self.opened = 0
        self.slowest = 0.0
        self.late = 0.0  # seconds that a request was sent after its time: by that much this machine is too busy
        self.failures: list[str] = []
        self.failed_at: list[float] = []  # when requests began that failed
        self.good_at: list[float] = []
        self.acknowledged: list[str] = []

    def run(self) -> None:
        """Send until it is to stop, then wait for the answers."""
        began = time.monotonic()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            while not self.over.is_set() and self.sent < MOST:
                self.late = max(self.late, time.monotonic() - began - self.sent / self.rate)
                pool.submit(self.one, self.sent)
                self.sent += 1
                self.over.wait(max(began + self.sent / self.rate - time.monotonic(), 0))
        for connection in self.idle:
            connection.close()

    def one(self, number: int) -> None:
        """Send one request and judge its answer."""
        call = self.calls[number % len(self.calls)]
        word = f"load{number}"
        body = call.get("body", "").replace("{n}", word)
        began = time.monotonic()
        try:
            status, text = self.ask(call["method"], call["path"].replace("{n}", word), body)
        except (OSError, http.client.HTTPException) as error:
            self.failed(began, f"{number}: {call['method']} {type(error).__name__} {error}")
            return
        if status >= 400:
            self.failed(began, f"{number}: {call['method']} {status} {text[:200]}")
            return
        with self.lock:
            self.answered += 1
            self.slowest = max(self.slowest, time.monotonic() - began)
            if call["method"] == "POST":
                self.acknowledged.append(word)
            self.good_at.append(began)

    def failed(self, began: float, what: str) -> None:
        """Remember a failure."""
        with self.lock:
            self.failures.append(what)
            self.failed_at.append(began)

    def ask(self, method: str, path: str, body: str) -> tuple[int, str]:
        """Send a request on a connection that is kept or new."""
        connection = self.take()
        reusable = False
        try:
            headers = {"Content-Type": "application/json"} if body else {}
            if not self.kept:
                headers["Connection"] = "close"
            connection.request(method, path, body.encode() or None, headers)
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
            reusable = bool(self.kept) and not answer.will_close
            return answer.status, text
        finally:
            if reusable:
                with self.lock:
                    self.idle.append(connection)
            else:
                self.drop(connection)

    def take(self) -> http.client.HTTPConnection:
        """Return a new connection while there are less than shall be kept, else the one that was idle the longest."""
        while True:
            with self.lock:
                connection = self.idle.popleft() if self.idle and self.live >= self.kept else None
                if connection is None:
                    self.opened += 1
                    self.live += 1
            if connection is None:
                return http.client.HTTPConnection(self.host, self.port, timeout=self.patience)
            if connection.sock is not None and not select.select([connection.sock], [], [], 0)[0]:
                return connection
            self.drop(connection)

    def drop(self, connection: http.client.HTTPConnection) -> None:
        """Close a connection that is not kept."""
        connection.close()
        with self.lock:
            self.live -= 1

    def progress(self) -> dict[str, Any]:
        """Return the progress."""
        with self.lock:
            first, last = min(self.failed_at, default=0.0), max(self.failed_at, default=0.0)
            after = min((at for at in self.good_at if at > last), default=0.0)
            return {
                "sent": self.sent,
                "answered": self.answered,
                "opened": self.opened,
                "failures": len(self.failures),
                "examples": self.failures[:12],
                "slowest": self.slowest,
                "late": self.late,
                "gap": after - first if first and after else 0.0,
                "failing": bool(first and not after),
            }


def say(line: str) -> None:
    """Tell whoever started this."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Run it."""
    load = Load(json.loads(sys.stdin.readline()))
    sender = threading.Thread(target=load.run)
    sender.start()
    say("begun")
    for line in sys.stdin:
        if line.strip() == "stop":
            break
        say(f"now {json.dumps(load.progress())}")
    load.over.set()
    sender.join()
    say(f"result {json.dumps({**load.progress(), 'acknowledged': load.acknowledged})}")


if __name__ == "__main__":
    main()
