"""The page as a person meets it: a real browser, the frontend and the backend as processes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from _page import search, titles
from _stack import Stack, add, api
from _webdriver import Browser

pytestmark = pytest.mark.page
HOSTILE = "<img src=x onerror=alert(1)> &amp; [/foo] <mark>not a match</mark>"


def test_document_added_through_the_page_is_found(page: Browser, stack: Stack) -> None:
    page.until(lambda: "Your documents, found as you type" in page.text("#empty"), "the welcome")
    page.click("#add")
    page.type("#adder-collection-name", "Recipes")
    page.type("#adder-name", "Lentil soup")
    page.type("#adder-text", "Simmer the lentils with cumin until they are soft.")
    page.click("#adder-save")
    page.until(lambda: titles(page) == ["Lentil soup"], "the collection's documents")
    assert page.text("#collections [aria-current]").split("\n") == ["Recipes", "1"]

    search(page, "cumin lent")
    page.until(lambda: page.texts("#results mark"), "a highlighted result")
    assert titles(page) == ["Lentil soup"]
    assert page.texts("#results .snippet mark") == ["lentils", "cumin"]
    assert page.text("#count").startswith("1 result for “cumin lent” in ")
    assert "q=cumin+lent&collection=" in page.url()

    with api(stack) as client:
        assert client.get("/api/search", params={"q": "cumin"}).json()["total"] == 1


def test_hostile_text_is_text(page: Browser, stack: Stack) -> None:
    add(stack, HOSTILE[:60], (HOSTILE, f"needle {HOSTILE} needle"))
    page.reload()
    search(page, "needle")
    page.until(lambda: titles(page), "the result")
    assert titles(page) == [HOSTILE]
    assert HOSTILE in page.text("#results .snippet")
    assert page.texts("#results .snippet mark") == ["needle", "needle"]
    page.press("Enter")
    page.until(lambda: page.text("#reader-text") == f"needle {HOSTILE} needle", "the document's text")
    assert page.run("return document.querySelectorAll('main img, dialog img, #collections img').length") == 0
    page.press("Escape")


def test_keyboard_alone(page: Browser, stack: Stack) -> None:
    add(stack, "Notes", ("First alpha", "alpha alpha alpha"), ("Second", "alpha once in a longer text about beta"))
    page.reload()
    page.until(lambda: len(page.texts("#collections a")) == 2, "the collections")
    page.run("document.activeElement.blur()")
    page.press("/", *"alpha")
    page.until(lambda: len(titles(page)) == 2, "two results")
    first, second = titles(page)
    page.press("ArrowDown")
    assert page.focused() == first
    page.press("ArrowDown")
    page.press("ArrowDown")
    assert page.focused() == second
    page.press("ArrowUp")
    page.press("ArrowUp")
    assert page.focused() == "query"
    page.press("Enter")
    page.until(lambda: page.text("#reader-title") == first, "Enter opens the first result")
    assert "doc=" in page.url()
    page.press("Escape")
    page.until(lambda: not page.visible("#reader"), "Esc closes the document")
    assert "doc=" not in page.url()
    page.run("document.getElementById('query').focus()")
    page.press("Escape")
    page.until(lambda: not titles(page), "Esc empties the search")
    assert "q=" not in page.url()


def test_address_restores_what_was_seen(page: Browser, stack: Stack) -> None:
    one = add(stack, "One", ("Alpha in one", "alpha"))
    add(stack, "Two", ("Alpha in two", "alpha"))
    origin = page.url()
    page.go(f"{origin}?q=alpha&collection={one}")
    page.until(lambda: titles(page) == ["Alpha in one"], "the search in one collection")
    assert page.run("return document.getElementById('query').value") == "alpha"
    page.click("#collections li:first-child a")
    page.until(lambda: len(titles(page)) == 2, "the search in all")
    page.call("POST", "/back")
    page.until(lambda: titles(page) == ["Alpha in one"], "Back goes to the collection")


def test_paging(page: Browser, stack: Stack) -> None:
    add(stack, "Many", *((f"Document {number}", f"common word {number}") for number in range(45)))
    search(page, "common")
    page.until(lambda: len(titles(page)) == 20, "the first page")
    assert page.text("#count").startswith("45 results")
    assert page.text("#more") == "Load more (25 left)"
    page.click("#more")
    page.until(lambda: len(titles(page)) == 40, "the second page")
    assert page.focused() == titles(page)[20]
    page.click("#more")
    page.until(lambda: len(titles(page)) == 45, "the last page")
    assert not page.visible("#more")
    assert len(set(titles(page))) == 45


def test_deleting_asks_first(page: Browser, stack: Stack) -> None:
    add(stack, "Old", ("Keep me", "alpha"), ("Drop me", "beta"))
    page.reload()
    search(page, "beta")
    page.until(lambda: titles(page) == ["Drop me"], "the result")
    page.press("Enter")
    page.until(lambda: page.visible("#reader-delete"), "the document")
    page.click("#reader-delete")
    page.press("Escape")
    page.until(lambda: not page.visible("#confirm"), "Esc keeps the document")
    page.click("#reader-delete")
    page.click("#confirm-yes")
    page.until(lambda: "Nothing found" in page.text("#empty"), "the document is gone")

    page.click("#collections li:nth-child(2) a")
    page.until(lambda: page.visible("#delete-collection"), "the chosen collection")
    page.click("#delete-collection")
    assert page.text("#confirm-title") == "Delete “Old”?"
    assert "its 1 document" in page.text("#confirm-text")
    page.click("#confirm-yes")
    page.until(lambda: len(page.texts("#collections a")) == 1, "the collection is gone")
    with api(stack) as client:
        assert client.get("/api/collections").json() == []


def test_files_are_added(page: Browser, stack: Stack, tmp_path: Path) -> None:
    add(stack, "Inbox", ("There", "already"))
    page.reload()
    page.until(lambda: len(page.texts("#collections a")) == 2, "the collections")
    contents = {"guide.md": b"intro\n\n# The guide #\nzebra", "plain.txt": b"zebra stripes", "bad.txt": b"\xff\xfe\x00"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    page.click("#add")
    page.type("#adder-choose", "\n".join(str(tmp_path / name) for name in contents))
    page.until(lambda: page.texts("#adder-files .name") == ["The guide", "plain"], "the files in the dialog")
    assert page.text("#adder-error") == "bad.txt: not UTF-8 text"
    assert page.text("#adder-save") == "Add 2 documents"
    page.click("#adder-save")
    page.until(lambda: len(titles(page)) == 3, "both are in the collection")
    search(page, "zebra")
    page.until(lambda: sorted(titles(page)) == ["The guide", "plain"], "both are found")


def test_late_answers_do_not_replace_newer_ones(page: Browser) -> None:
    # The network of this page is replaced by one whose first answer comes last and ignores being aborted.
    page.run(
        """
        const answers = {};
        window.fetch = (url) => new Promise((resolve) => {
          const q = new URL(url, location).searchParams.get("q");
          const results = [{ id: 1, collection: 1, title: `answer to ${q}`, snippet: "" }];
          answers[q] = () => resolve(new Response(JSON.stringify({ total: 1, results })));
        });
        window.answers = answers;
        """
    )
    search(page, "slow")
    page.until(lambda: page.run("return 'slow' in window.answers"), "the first question is out")
    search(page, "quick")
    page.until(lambda: page.run("return 'quick' in window.answers"), "the second question is out")
    page.run("window.answers.quick(); await new Promise((done) => setTimeout(done)); window.answers.slow()")
    page.until(lambda: titles(page), "an answer")
    page.run("await new Promise((done) => setTimeout(done, 50))")
    assert titles(page) == ["answer to quick"]


def test_typing_before_the_script_runs_counts(page: Browser, stack: Stack) -> None:
    add(stack, "Notes", ("Alpha", "alpha"))
    page.call("POST", "/goog/cdp/execute", cmd="Network.enable", params={})
    slow = {"offline": False, "latency": 150, "downloadThroughput": -1, "uploadThroughput": -1}
    page.call("POST", "/goog/cdp/execute", cmd="Network.emulateNetworkConditions", params=slow)
    page.reload()
    page.type("#query", "alpha")
    assert page.texts("#collections a") == [], "the script was there already: this would prove nothing"
    page.until(lambda: titles(page) == ["Alpha"], "the result")
    assert page.run("return document.getElementById('query').value") == "alpha"
    assert page.url().endswith("/?q=alpha")
    page.call("POST", "/goog/cdp/execute", cmd="Network.emulateNetworkConditions", params={**slow, "latency": 0})


def test_page_that_loaded_in_part_loads_again(page: Browser) -> None:
    page.call("POST", "/goog/cdp/execute", cmd="Network.enable", params={})
    page.call("POST", "/goog/cdp/execute", cmd="Network.setBlockedURLs", params={"urls": ["*/search.js"]})
    page.reload()
    page.until(lambda: page.run("return Number(sessionStorage.getItem('docsearch.loads')) > 0"), "a second try")
    assert page.texts("#collections a") == []
    page.call("POST", "/goog/cdp/execute", cmd="Network.setBlockedURLs", params={"urls": []})
    page.until(lambda: page.texts("#collections a"), "the whole page")
    page.errors()


def test_snippets_are_parsed_not_trusted(page: Browser) -> None:
    cases = {
        "a &lt;b&gt; <mark>c &amp;amp; d</mark>": [["a <b> ", False], ["c &amp; d", True]],
        "<img src=x onerror=alert(1)>": [["<img src=x onerror=alert(1)>", False]],
        "<mark>open": [["open", True]],
        "</mark>close": [["close", False]],
        '<mark class="x">y</mark>': [['<mark class="x">y', False]],
        "&#x27;&#39;&quot;&unknown;&#x110000;": [["''\"&unknown;&#x110000;", False]],
    }
    script = (
        "const { snippetParts } = await import('/text.js');"
        "return args[0].map((text) => snippetParts(text).map((part) => [part.text, part.mark]))"
    )
    assert page.run(script, list(cases)) == list(cases.values()), json.dumps(list(cases))


@pytest.mark.parametrize(("width", "height"), [(360, 640), (390, 844), (1280, 800)])
@pytest.mark.parametrize("dark", [False, True])
def test_fits_and_is_readable(page: Browser, stack: Stack, width: int, height: int, dark: bool) -> None:
    add(stack, "A collection with quite a long name", ("W" * 200, "needle " + "x" * 300))
    page.resize(width, height, dark=dark)
    page.reload()
    search(page, "needle")
    page.until(lambda: titles(page), "the result")
    assert page.run("return document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"
    contrast = page.run((Path(__file__).parent / "_contrast.js").read_text())
    assert contrast, "no text was measured"
    assert [entry for entry in contrast if entry["ratio"] < 4.5] == []
    unnamed = (
        "return [...document.querySelectorAll('input, select, textarea, button')].filter("
        "(field) => !field.labels?.length && !field.ariaLabel && !field.textContent.trim()).map((field) => field.id)"
    )
    assert page.run(unnamed) == []
