"""The documentation: links lead somewhere, pages are in the index, commands exist, errors have their entry."""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import devenv
from devenv.cli.parser import build_parser
from devenv.core.errors import DevenvError
from tests import diagrams
from tests.follow import BLOCK, Step, follow, table

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page.relative_to(ROOT).as_posix()
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("k8s/*.md"), ROOT / "tests/README.md")
)
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
NEEDS = {
    "minikube",
    "a cluster",
    "a registry",
    "a terminal",
    "Trivy",
    "a webhook",
    "Colima",
    "a stack under load for minutes",
}  # what a runner of CI lacks


def text_of(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


def anchors(page: str) -> set[str]:
    """The anchors of a page, as GitHub makes them of its headings; a heading that comes again gets a number."""
    found: dict[str, int] = {}
    names = set()
    for heading in re.findall(r"^#{1,6} (.+)$", FENCE.sub("", text_of(page)), re.MULTILINE):
        plain = re.sub(r"\[([^\]]+)\]\([^)]*\)|[`*]", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        names.add(f"{name}-{found[name]}" if name in found else name)
        found[name] = found.get(name, 0) + 1
    return names


@pytest.mark.parametrize("page", PAGES)
def test_each_link_leads_to_a_file_and_a_heading(page: str) -> None:
    broken = []
    for link in (first or second for first, second in LINK.findall(FENCE.sub("", text_of(page)))):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        if workflow := re.match(r"\.\./\.\./actions/workflows/([\w-]+\.yml)", link):  # GitHub's page of a workflow
            link = f".github/workflows/{workflow[1]}"
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        if not target.exists() or (
            anchor and target.suffix == ".md" and anchor not in anchors(target.resolve().relative_to(ROOT).as_posix())
        ):
            broken.append(link)
    assert broken == []


def test_each_diagram_is_drawn_from_what_its_page_says() -> None:
    pages = diagrams.diagrams()
    assert set(pages) == {"docker", "build-graph", "kubernetes", "ci-cd", "devenv"}
    drawn = {file.stem: file.read_text("utf-8") for file in diagrams.FOLDER.glob("*.svg")}
    old = [name for name in {*pages, *drawn} if not drawn.get(name, "").endswith(diagrams.mark(pages.get(name, "")))]
    assert old == [], "make pictures draws them again"


def test_the_recording_is_drawn_from_its_cast_lasts_half_a_minute_and_is_small() -> None:
    cast = text_of("docs/demo.cast")
    assert text_of("docs/demo.svg").endswith(diagrams.mark(cast)), "make pictures records it again"
    header, *events = map(json.loads, cast.splitlines())
    assert header["version"] == 2
    assert 15 < events[-1][0] <= 31
    assert len([text for _, kind, text in events if kind == "m"]) > 4, "each step says what it is"
    assert max((ROOT / "docs" / name).stat().st_size for name in ("demo.cast", "demo.svg")) < 300_000


def test_a_page_is_followed_in_one_shell_until_a_step_fails() -> None:
    steps = follow(["cd /", "test $PWD = / && cat", "echo no; (exit 3)", "touch never"])
    assert [(step.command, step.exit_code) for step in steps] == [
        ("cd /", 0), ("test $PWD = / && cat", 0), ("echo no; (exit 3)", 3),
    ]  # fmt: skip
    assert [step.exit_code for step in follow(["true", "exit 4", "true"])] == [0, 4], "the shell itself ends"
    assert table([Step("a", 1.04, 0), Step("b", 2, 3)]).splitlines()[2:] == [
        "| `a` | 1.0 | done |", "| `b` | 2.0 | 3 |", "| all | 3.0 | |",
    ]  # fmt: skip


def test_each_page_is_in_the_index() -> None:
    index = text_of("docs/README.md")
    linked = {(ROOT / "docs" / link).resolve() for link, _ in LINK.findall(index)}
    missing = [page for page in PAGES if (ROOT / page).resolve() not in linked and page != "docs/README.md"]
    assert missing == []
    assert "docs/README.md" in text_of("README.md"), "the index is linked from the first page"


def blocks() -> Iterator[tuple[str, str, str, str]]:
    for page in PAGES:
        for kind, value, text in BLOCK.findall(text_of(page)):
            yield page, kind, value, text


def test_each_block_of_commands_is_run_by_a_test_or_says_what_it_needs() -> None:
    wrong = []
    for page, kind, value, text in blocks():
        if kind == "run by":
            if not (ROOT / value).is_file():
                wrong.append(f"{page}: {value} is not there")
        elif value not in NEEDS:
            wrong.append(f"{page}: {text.splitlines()[0]}")
    assert wrong == []


@pytest.mark.parametrize("page", PAGES)
def test_commands_stand_in_blocks_that_can_be_found(page: str) -> None:
    indented = re.compile(r"^(?: {4}|\t)(?:devenv|docker|kubectl|locust|make|minikube|pip|pytest) ", re.MULTILINE)
    assert indented.findall(FENCE.sub("", text_of(page))) == []


def commands(page: str) -> Iterator[str]:
    """Every command line of devenv in a page: in blocks, and in the text."""
    text = text_of(page)
    for _, _, block in BLOCK.findall(text):
        for line in block.splitlines():
            yield from re.findall(r"^(?:\$ )?(devenv .+?)(?:\s+#.*)?$", line)
    for code in re.findall(r"`(devenv [^`]+)`", FENCE.sub("", text)):
        yield code.replace("\n", " ")


def variants(line: str) -> Iterator[list[str]]:
    """What a line means: `[OPTION]` may be there, `a, b` are two endings, `...` stands for more."""
    line = line.split(" && ")[0].replace("\\|", "|").replace("...", "").replace("…", "")
    line = re.sub(r"\s*\|.*$", "", line) if " | " in line else line
    for ending in line.split(", ") if line.count(", ") and "[" not in line else [line]:
        whole = ending if ending.startswith("devenv ") else f"{line.partition(', ')[0]} {ending}"
        yield shlex.split(re.sub(r"(\w+)\|[\w|]+", r"\1", whole.replace("[", " ").replace("]", " ")))[1:]


@cache
def parser_of_devenv() -> argparse.ArgumentParser:
    return build_parser()


def known(words: list[str]) -> str:
    """Say which word of a command line devenv does not know, "" where it knows all."""
    place = parser = parser_of_devenv()
    for word in words:
        subparsers = [action for action in place._actions if isinstance(action, argparse._SubParsersAction)]
        if word.startswith("-"):
            options = {option for action in place._actions for option in action.option_strings}
            options |= {option for action in parser._actions for option in action.option_strings}
            if word.partition("=")[0] not in options:
                return word
        elif subparsers and place is parser and not _is_value(words, word):
            if word in ("kubectl", "minikube", "kube"):
                return ""  # theirs
            if word not in subparsers[0].choices:
                return word
            place = subparsers[0].choices[word]
        elif subparsers and word in subparsers[0].choices:
            place = subparsers[0].choices[word]
    return ""


def _is_value(words: list[str], word: str) -> bool:
    before = words[words.index(word) - 1] if words.index(word) else ""
    return before.startswith("-") and before not in ("--read-only", "--no-color", "-h", "--help", "--version")


@pytest.mark.parametrize("page", [page for page in PAGES if page != "CHANGELOG.md"])
def test_each_command_that_a_page_names_exists(page: str) -> None:
    unknown = {}
    for line in commands(page):
        for words in variants(line):
            if wrong := known(words):
                unknown[line] = wrong
    assert unknown == {}


def errors() -> set[tuple[str, int]]:
    """Every title that devenv can print, with its exit code: of all errors that any module of devenv knows."""
    for module in pkgutil.walk_packages(devenv.__path__, "devenv."):
        if not module.name.startswith(
            ("devenv.load", "devenv.__main__", "devenv.tui")
        ):  # Locust patches what imports it
            importlib.import_module(module.name)

    def below(kind: type[DevenvError]) -> Iterator[type[DevenvError]]:
        yield kind
        for inner in kind.__subclasses__():
            yield from below(inner)

    return {(kind.title, kind.exit_code) for kind in below(DevenvError) if kind.__module__.startswith("devenv.")}


def test_each_error_has_its_entry_with_its_exit_code() -> None:
    page = text_of("docs/TROUBLESHOOTING.md")
    table = {
        (title, int(code))
        for title, code in re.findall(r"^\| \[([a-z ]+)\]\(#[a-z-]+\) \| (\d+) \|$", page, re.MULTILINE)
    }
    assert table == errors()
    entries = dict(re.findall(r"^## ([a-z ]+)\n\n(.+?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    assert set(entries) == {title for title, _ in table} | {"rolled back"}
    assert all(len(text.split()) > 10 for text in entries.values())


def test_the_table_of_exit_codes_is_whole() -> None:
    codes = {code for _, code in errors()} | {0, 14}
    assert codes <= {int(code) for code in re.findall(r"\| (\d+) \|", text_of("README.md"))}


def test_each_fault_has_a_test_that_exists() -> None:
    there = {
        f"{file.name}::{name}"
        for file in ROOT.glob("tests/*/test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", _text(file), re.M)
    }
    named = {
        fault: re.findall(r"`([\w.]+::\w+)`", tests)
        for fault, tests in re.findall(
            r"^\| (?!fault|input|---)(.+?) \|.*?((?:`[\w.]+::\w+`(?:, )?)*) \|$", text_of("docs/RELIABILITY.md"), re.M
        )
    }
    assert len(named) > 40
    assert [fault for fault, tests in named.items() if not tests] == []
    assert sorted({test for tests in named.values() for test in tests} - there) == []


def _text(file: Path) -> str:
    return file.read_text("utf-8")
