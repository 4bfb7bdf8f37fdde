"""Searching: what is found, in which order, how it is shown, and that no query can do harm."""

from __future__ import annotations

import random
import re

import httpx
import pytest
from docindexer.matching import SNIPPET_CHARACTERS, highlighted_html, indexed_text, match_expression
from test_backend_api import add, api, create, titles

__all__ = ["api"]  # a fixture: pytest finds it here

HOSTILE = [
    '"', '""', '"""', "'", "a'b", "*", "**", "^", "-", "+", "(", ")", "()", "NEAR(a b, 5)", "NEAR",
    "AND", "a AND", "OR b",
    "NOT x", "a NOT", "title:x", "title : x", "{title text}: x", "- title:x", "^hello", "hel*lo", "a + b", "a:b:c", ":",
    "\0", "a\0b", "\x01\x02", "\x7f", "\u200b", "\ufdd0x\ufdd1", "\ufeff", "\ufffd", "\U0010ffff",
    "é", "e\u0301", "\u0301", "🙂", "👩‍👩‍👧 family", "日本語", "日", "ｶﾅ", "ไทย", "עברית", "\u202eevil", "--",
    "; DROP TABLE documents", "%", "_", "\\",
    "<mark>", "&amp;", "<script>alert(1)</script>", "?1", ":match", "$x", "@x", "#", "rank",
    "documents_fts", "x" * 1000,
    "a " * 500, '"a" ' * 250, "日" * 1000, " ".join(chr(0x4E00 + n) for n in range(500)), "(" * 1000, "\t\n\r\f\v x",
]  # fmt: skip


async def test_best_match_comes_first_and_a_title_counts_more(api: httpx.AsyncClient) -> None:
    collection = await create(api, "c")
    filler = "other words that say nothing about it " * 5
    await add(
        api,
        collection,
        ("Once", f"kubernetes {filler}"),
        ("Nothing", filler),
        ("Kubernetes", filler),
        ("Often", f"kubernetes kubernetes kubernetes {filler}"),
    )
    answer = (await api.get("/api/search", params={"q": "kubernetes"})).json()
    assert [hit["title"] for hit in answer["results"]] == ["Kubernetes", "Often", "Once"]
    scores = [hit["score"] for hit in answer["results"]]
    assert scores == sorted(scores, reverse=True)


async def test_every_word_must_occur_and_the_last_may_be_unfinished(api: httpx.AsyncClient) -> None:
    collection = await create(api, "c")
    await add(api, collection, ("both", "red apple tree"), ("one", "red brick"), ("accent", "Ärger im Café"))
    assert await titles(api, q="red app") == ["both"]
    assert await titles(api, q="app red") == [], "only the last word is a prefix"
    assert sorted(await titles(api, q="RED")) == ["both", "one"]
    assert await titles(api, q="arger cafe") == ["accent"]
    assert await titles(api, q="red -- apple!") == ["both"], "punctuation is not searched for"


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("全文検索システムの説明", "検索"),
        ("東京都に住む", "京都"),
        ("문서검색", "검색"),
        ("ภาษาไทยง่าย", "ไทย"),
        ("हिन्दी में", "हिन्दी"),
    ],
)
async def test_words_are_found_where_no_space_sets_them_apart(api: httpx.AsyncClient, text: str, query: str) -> None:
    await add(api, await create(api, "c"), ("t", text), ("other", "nothing of the kind"))
    (hit,) = (await api.get("/api/search", params={"q": query})).json()["results"]
    assert f"<mark>{query}</mark>" in hit["snippet"]
    assert re.sub("</?mark>", "", hit["snippet"]) == text


async def test_only_the_named_collection_is_searched(api: httpx.AsyncClient) -> None:
    first, second = await create(api, "first"), await create(api, "second")
    await add(api, first, ("1", "needle"))
    await add(api, second, ("2", "needle"), ("3", "needle"))
    answer = (await api.get("/api/search", params={"q": "needle", "collection": second})).json()
    assert answer["total"] == 2
    assert {(hit["collection"], hit["collection_name"]) for hit in answer["results"]} == {(second, "second")}
    assert len(await titles(api, q="needle", collection="")) == 3


async def test_pages_are_stable_and_the_total_is_exact(api: httpx.AsyncClient) -> None:
    collection = await create(api, "c")
    await add(api, collection, *[(f"t{number}", "same words") for number in range(57)])
    seen: list[str] = []
    for offset in range(0, 70, 10):
        page = (await api.get("/api/search", params={"q": "words", "limit": 10, "offset": offset})).json()
        assert page["total"] == 57
        seen += [hit["title"] for hit in page["results"]]
    assert seen == [f"t{number}" for number in range(57)]


async def test_snippets_and_titles_are_safe_html(api: httpx.AsyncClient) -> None:
    evil = "<img src=x onerror=alert(1)> & \"needle\" 'x' </mark><script> <mark>fake"
    await add(api, await create(api, "c"), (evil, evil))
    (hit,) = (await api.get("/api/search", params={"q": "needle"})).json()["results"]
    for html in (hit["title_html"], hit["snippet"]):
        assert re.findall("<[^>]*>", html) == ["<mark>", "</mark>"]
        assert "<mark>needle</mark>" in html
        assert "&lt;img src=x onerror=alert(1)&gt; &amp; &quot;" in html
    assert hit["title"] == evil


async def test_a_snippet_shows_the_match_in_a_long_text(api: httpx.AsyncClient) -> None:
    collection = await create(api, "c")
    await add(api, collection, ("words", "hay " * 5000 + "needle" + " hay" * 5000))
    await add(api, collection, ("one token", "x" * 200_000 + " needle " + "y" * 200_000))
    for hit in (await api.get("/api/search", params={"q": "needle"})).json()["results"]:
        assert "<mark>needle</mark>" in hit["snippet"]
        assert len(hit["snippet"]) < SNIPPET_CHARACTERS + 50


async def test_marks_in_a_document_do_not_become_markup(api: httpx.AsyncClient) -> None:
    await add(api, await create(api, "c"), ("\ufdd0t\ufdd1", "\ufdd0a\ufdd1 needle \ufdd1\ufdd1"))
    (hit,) = (await api.get("/api/search", params={"q": "needle"})).json()["results"]
    assert hit["snippet"].count("<mark>") == hit["snippet"].count("</mark>") == 1
    assert "mark" not in hit["title_html"]


async def test_nothing_to_search_for_gives_no_results(api: httpx.AsyncClient) -> None:
    await add(api, await create(api, "c"), ("t", "x"))
    for query in ("", "  ", "...", "\0", "🙂"):
        assert (await api.get("/api/search", params={"q": query})).json() == {"total": 0, "results": []}


@pytest.mark.parametrize("in_collection", [False, True])
async def test_no_query_is_an_error(api: httpx.AsyncClient, in_collection: bool) -> None:
    collection = await create(api, "c")
    await add(api, collection, *[(f"t{at}", text) for at, text in enumerate(HOSTILE) if "\0" not in text])
    only = {"collection": collection} if in_collection else {}
    for query in HOSTILE:
        answer = await api.get("/api/search", params={"q": query, **only})
        assert answer.status_code == 200, (query, answer.text)


async def test_a_document_is_found_by_each_of_its_words(api: httpx.AsyncClient) -> None:
    """A property, on texts from a fixed seed: words of letters and digits between anything else."""
    collection = await create(api, "c")
    chance = random.Random(3)
    letters = "abcßéñçøжщλдαβ١٢٣日本한글กไ09"
    between = [" ", "-", '"', "'", "*", ":", "(", ")", "\n", "🙂", "\u200b", "\ufdd0", "^", "&", "<", "\x1f"]
    for number in range(40):
        words = ["".join(chance.choices(letters, k=chance.randint(1, 8))) for _ in range(chance.randint(1, 12))]
        await add(api, collection, (f"t{number}", "".join(word + chance.choice(between) for word in words)))
        for word in words:
            assert f"t{number}" in await titles(api, q=word, limit=100), (word, words)


async def test_bytes_that_are_not_utf8_are_a_query_too(api: httpx.AsyncClient) -> None:
    for raw in (b"q=%ff%fe", b"q=%ed%a0%80", b"q=a%00b", b"q=%c0%af", b"q=a&q=%F0%9F"):
        answer = await api.get(httpx.URL("http://test/api/search", query=raw))
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("query", "expression"),
    [
        ("red apple", '"red" "apple"*'),
        ('say "hi"', '"say" """hi"""*'),
        ("a a a b", '"a" "b"*'),
        ("NOT (x", '"NOT" "(x"*'),
        ("- ... *", None),
        ("a\0b", '"a" "b"*'),
        ("hi🙂you", '"hi" "you"*'),
        ("日本", '"\u200b日\u200b\u200b本\u200b"*'),
    ],
)
def test_words_become_quoted_strings(query: str, expression: str | None) -> None:
    assert match_expression(query) == expression


def test_spaced_text_is_indexed_as_it_is() -> None:
    assert indexed_text("plain ASCII, déjà vu") == "plain ASCII, déjà vu"


def test_a_cut_never_leaves_a_mark_open() -> None:
    marked = "a" * 100 + "\ufdd0" + "b" * 100 + "\ufdd1" + "c" * 100
    for limit in range(1, 320):
        html = highlighted_html(marked, limit)
        assert html.count("<mark>") == html.count("</mark>"), limit
        assert len(re.sub("<.*?>|…", "", html)) <= limit
