"""The page of the search service in a browser."""

from __future__ import annotations

from _webdriver import Browser


def titles(page: Browser) -> list[str]:
    return page.texts("#results .result-title")


def search(page: Browser, query: str) -> None:
    page.run("document.getElementById('query').select()")
    page.type("#query", query)
