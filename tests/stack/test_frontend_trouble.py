"""The page when the backend is away, or has too much to do: it says so, loses nothing, and goes on by itself."""

from __future__ import annotations

import re
import socket

import pytest
from _page import search, titles
from _stack import Stack, add
from _webdriver import Browser

pytestmark = pytest.mark.page


def test_outage_is_said_and_nothing_typed_is_lost(page: Browser, stack: Stack) -> None:
    add(stack, "Notes", ("Alpha", "alpha"))
    page.reload()
    search(page, "alpha")
    page.until(lambda: titles(page) == ["Alpha"], "the result")
    assert not page.visible("#banner")

    stack.kill_backend()
    search(page, "alpha again")
    page.until(lambda: page.visible("#banner"), "the banner")
    assert page.text("#banner-text") == "Search is not available right now."
    assert titles(page) == ["Alpha"], "what was found before stays readable"
    page.click("#add")
    page.type("#adder-name", "Draft")
    page.type("#adder-text", "alpha again, typed during the outage")
    page.click("#adder-save")
    page.until(lambda: page.text("#adder-error").startswith("Not added: "), "the failure is said in the dialog")
    assert page.run("return document.getElementById('adder-text').value").startswith("alpha again")

    stack.start_backend()
    page.until(lambda: not page.visible("#banner"), "the page notices the recovery by itself")
    assert page.run("return document.getElementById('query').value") == "alpha again"
    page.click("#adder-save")
    page.until(lambda: titles(page) == ["Draft"], "the draft is saved and found")


def test_a_search_that_is_refused_is_asked_again(browser: Browser, stack: Stack) -> None:
    """There is room for one request, and an upload that does not go on has it."""
    add(stack, "Recipes", ("Lentil soup", "Simmer the lentils."))
    frontend = stack.start_frontend(BACKEND_REQUESTS="1")
    browser.go(frontend.url + "/")
    browser.until(lambda: browser.texts("#collections a"), "the list of collections")
    with unfinished_upload(int(frontend.url.rpartition(":")[2])):
        frontend.until(lambda: "docfront_backend_requests 1.0" in frontend.get("/metrics").text, "the upload")
        search(browser, "lentils")
        refused = re.compile(r"^docfront_refused_total [1-9]", re.MULTILINE)
        frontend.until(lambda: refused.search(frontend.get("/metrics").text), "a refusal")
        assert not browser.run("return document.body.classList.contains('offline')")
    browser.until(lambda: titles(browser) == ["Lentil soup"], "the result")
    browser.go("about:blank")


def unfinished_upload(port: int) -> socket.socket:
    """An upload that has the room. It is refused while a request of the page has it, and then tried again."""
    head = "Host: h\r\nContent-Type: application/json\r\nContent-Length: 9"
    for _ in range(60):
        upload = socket.create_connection(("127.0.0.1", port), timeout=1)
        upload.sendall(f"POST /api/collections HTTP/1.1\r\n{head}\r\n\r\n{{".encode())
        try:
            upload.recv(1)
        except TimeoutError:  # no answer: it has begun
            return upload
        upload.close()
    raise AssertionError("the upload was refused a minute long")
