"""A headless Chromium, driven with plain W3C WebDriver calls (https://www.w3.org/TR/webdriver2/)."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
KEYS = {"Enter": "\ue007", "Escape": "\ue00c", "ArrowUp": "\ue013", "ArrowDown": "\ue015", "Backspace": "\ue003"}
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--lang=en-GB",
)


NOT_YET = ("no such element", "stale element reference", "element not interactable", "element click intercepted")


class WebDriverError(AssertionError):
    """The browser refused a command, or a condition did not come true in time."""


class NotYet(WebDriverError):
    """The element is not there, not visible, or was replaced: a moment later it may be fine."""


class Browser:
    """One browser window."""

    def __init__(self, client: httpx.Client, session: str) -> None:
        self._client = client
        self._session = session

    def call(self, method: str, path: str, **body: Any) -> Any:
        answer = self._client.request(
            method, f"/session/{self._session}{path}", json=None if method in ("GET", "DELETE") else body
        )
        value = answer.json()["value"]
        if answer.is_error:
            kind = NotYet if value["error"] in NOT_YET else WebDriverError
            raise kind(f"{method} {path}: {value['error']}: {value['message']}")
        return value

    def go(self, url: str) -> None:
        """Open an address; once more when a container that starts elsewhere on the machine interrupts it."""
        try:
            self.call("POST", "/url", url=url)
        except WebDriverError as error:
            if "ERR_NETWORK_CHANGED" not in str(error):
                raise
            self.call("POST", "/url", url=url)

    def reload(self) -> None:
        self.go(self.url())

    def url(self) -> str:
        return str(self.call("GET", "/url"))

    def run(self, script: str, *arguments: Any) -> Any:
        """Run the body of an async function in the page and return what it returns."""
        wrapped = (
            "const done = arguments[arguments.length - 1]; const given = [...arguments].slice(0, -1);"
            f"(async (...args) => {{ {script} }})(...given)"
            ".then((value) => done({value}), (error) => done({error: String(error.stack ?? error)}));"
        )
        result = self.call("POST", "/execute/async", script=wrapped, args=list(arguments))
        if "error" in result:
            raise WebDriverError(result["error"])
        return result.get("value")

    def find(self, selector: str) -> str:
        return str(self.call("POST", "/element", using="css selector", value=selector)[ELEMENT])

    def click(self, selector: str) -> None:
        """Click as soon as the element is there, visible and not replaced by a newer one in the same moment."""
        self.until(lambda: self._clicked(selector), f"{selector} can be clicked")

    def _clicked(self, selector: str) -> bool:
        try:
            self.call("POST", f"/element/{self.find(selector)}/click")
        except NotYet:
            return False
        return True

    def type(self, selector: str, text: str) -> None:
        self.call("POST", f"/element/{self.find(selector)}/value", text=text)

    def press(self, *keys: str) -> None:
        """Press keys wherever the focus is: names of KEYS, or characters."""
        presses = [{"type": kind, "value": KEYS.get(key, key)} for key in keys for kind in ("keyDown", "keyUp")]
        self.call("POST", "/actions", actions=[{"type": "key", "id": "keyboard", "actions": presses}])

    def text(self, selector: str) -> str:
        return str(self.call("GET", f"/element/{self.find(selector)}/text"))

    def texts(self, selector: str) -> list[str]:
        script = "return [...document.querySelectorAll(args[0])].map((element) => element.textContent)"
        return list(self.run(script, selector))

    def visible(self, selector: str) -> bool:
        return bool(self.call("GET", f"/element/{self.find(selector)}/displayed"))

    def focused(self) -> str:
        """Return the id of the focused element, or its text when it has none."""
        return str(self.run("return document.activeElement.id || document.activeElement.textContent"))

    def until(self, condition: Callable[[], Any], what: str, timeout: float = 45.0) -> Any:
        """Poll until `condition` is true and return its value; seconds; raises WebDriverError with the page's text."""
        deadline = time.monotonic() + timeout
        while not (value := condition()):
            if time.monotonic() > deadline:
                page = self.run("return document.body.innerText")
                loaded = self.run("return performance.getEntries().map((entry) => [entry.name, entry.responseStatus])")
                raise WebDriverError(
                    f"not within {timeout:g} s: {what}\nlast: {value!r}\n--- page\n{page}\n"
                    f"--- console\n{self.errors()}\n--- loaded\n{loaded}"
                )
            time.sleep(0.05)
        return value

    def resize(self, width: int, height: int, *, dark: bool = False) -> None:
        """Give the page this viewport, in CSS pixels."""
        self._devtools(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 700
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._devtools("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("GET", "/screenshot")))

    def errors(self) -> list[str]:
        """Return and forget what the page wrote to the console as an error."""
        entries = self.call("POST", "/se/log", type="browser")
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]

    def _devtools(self, command: str, **parameters: Any) -> Any:
        return self.call("POST", "/goog/cdp/execute", cmd=command, params=parameters)


@contextmanager
def chromium(profile: Path) -> Iterator[Browser]:
    """Start chromedriver and a browser with a new profile; both end with the block."""
    driver = shutil.which("chromedriver")
    if driver is None:
        raise WebDriverError("chromedriver is not installed: run `make setup` or install chromium and chromium-driver")
    process = subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{_port(process)}", timeout=60, trust_env=False) as client:
            options = {"args": [*FLAGS, f"--user-data-dir={profile}"]}
            logs = {"browser": "ALL"}
            capabilities = {"alwaysMatch": {"goog:chromeOptions": options, "goog:loggingPrefs": logs}}
            answer = client.post("/session", json={"capabilities": capabilities}).json()["value"]
            if "sessionId" not in answer:
                raise WebDriverError(f"Chromium did not start: {answer.get('message', answer)}")
            browser = Browser(client, answer["sessionId"])
            try:
                yield browser
            finally:
                browser.call("DELETE", "")
    finally:
        process.terminate()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


def _port(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    lines: list[str] = []
    # A driver that says nothing would block this read for ever.
    watchdog = threading.Timer(30, process.kill)
    watchdog.start()
    try:
        for line in process.stdout:
            lines.append(line)
            if match := re.search(r"started successfully on port (\d+)", line):
                return int(match[1])
    finally:
        watchdog.cancel()
    raise WebDriverError(f"chromedriver did not start: {''.join(lines)}")
