"""What an ignore file leaves out, rule by rule; tests/builds/test_builds_buildkit.py asks BuildKit itself."""

from __future__ import annotations

import pytest

from devenv.builds.ignore import BadPattern, IgnoreMatcher, read_patterns

# (pattern, path, whether it is left out): each rule of the pattern language with what it takes and what it does not.
CASES = [
    # plain names: from the root, with all below
    ("docs", "docs", True),
    ("docs", "docs/guide/index.md", True),
    ("docs", "src/docs", False),
    ("docs", "docs2", False),
    ("docs/guide", "docs/guide", True),
    ("docs/guide", "docs/guides", False),
    # one star stays within a name, also an empty part of one
    ("*", "readme", True),
    ("*", "src/main.py", True),  # by its parent
    ("*.log", "a.log", True),
    ("*.log", ".log", True),
    ("*.log", "logs/a.log", False),
    ("src/*", "src", False),
    ("src/*", "src/main.py", True),
    ("src/*/test", "src/a/test", True),
    ("src/*/test", "src/a/b/test", False),
    ("a*b*c", "aXbYc", True),
    ("a*b*c", "aX/bYc", False),
    # two stars go over any depth, none included
    ("**", "any/depth", True),
    ("**/", "any", True),
    ("**/node_modules", "node_modules", True),
    ("**/node_modules", "web/node_modules/left-pad/index.js", True),
    ("**/node_modules", "web/node_modules2", False),
    ("**/a/b", "x/y/a/b", True),
    ("**/a/b", "x/a/c/b", False),
    ("**/*.pyc", "m.pyc", True),
    ("**/*.pyc", "a/b/m.pyc", True),
    ("**/*.pyc", "a/b/m.py", False),
    ("**/**/*.pyc", "m.pyc", True),
    ("build/**", "build", False),
    ("build/**", "build/a/b", True),
    ("a/**/z", "a/z", True),
    ("a/**/z", "a/b/c/z", True),
    ("a/**/z", "b/a/z", False),
    ("**tmp", "x/footmp", True),
    ("a**/z", "ab/c/z", True),
    ("a**", "abc", True),
    # one character, and classes
    ("?", "é", True),
    ("?", "ab", False),
    ("a?c", "a/c", False),
    ("[abc]", "b", True),
    ("[a-c]x", "bx", True),
    ("[^a-c]x", "bx", False),
    ("[^a-c]x", "zx", True),
    ("[а-я]", "ж", True),
    ("[\\]]", "]", True),
    ("[\\-a]", "-", True),
    ("[[:digit:]]", "7", True),  # a class of the expression that BuildKit makes of it
    ("[[:digit:]]", "d", False),
    # escapes: of a star, and of a letter that means something in that expression
    ("a\\*", "a*", True),
    ("a\\*", "ab", False),
    ("v\\d", "v1", True),
    ("v\\d", "vd", False),
    # what means nothing in a pattern
    ("a.b", "axb", False),
    ("a+(b)|{c}$", "a+(b)|{c}$", True),
    ("*.whl", "p-1.0+g0.whl", True),
    ("a^b", "a^b", True),
    # cleaned first
    ("./src/../lib/", "lib/x", True),
    ("/lib", "lib", True),
    ("lib//x", "lib/x", True),
    (".", "lib", False),
    ("/", "lib", False),
    ("..", "lib", False),
    ("  lib \t", "lib", True),
]


@pytest.mark.parametrize(("pattern", "path", "ignored"), CASES)
def test_a_pattern(pattern: str, path: str, ignored: bool) -> None:
    assert IgnoreMatcher(read_patterns(pattern.encode())).ignores(path) is ignored


@pytest.mark.parametrize(
    ("patterns", "path", "ignored"),
    [
        (("docs", "!docs/keep.md"), "docs/keep.md", False),
        (("docs", "!docs/keep.md"), "docs/other.md", True),
        (("!docs/keep.md", "docs"), "docs/keep.md", True),  # the last one decides
        (("**", "!src"), "src/main.py", False),
        (("**", "!src", "src/secret"), "src/secret/key", True),
        (("**", "!src", "src/secret", "!src/secret/pub"), "src/secret/pub", False),
        (("*", "!*.py", "test_*"), "main.py", False),
        (("*", "!*.py", "test_*"), "test_main.py", True),
        (("a", "!a"), "a/b", False),
        (("!a",), "a", False),
        ((), "a", False),
    ],
)
def test_exceptions_in_their_order(patterns: tuple[str, ...], path: str, ignored: bool) -> None:
    assert IgnoreMatcher(patterns).ignores(path) is ignored


@pytest.mark.parametrize(
    "pattern", ["!", "! ", "!/", "[", "a[", "[]a]", "[^", "[^a", "[-]", "[a-]", "[-a]", "[a-b-c]", "\\", "a\\", "[\\"]
)
def test_what_buildkit_rejects_is_rejected(pattern: str) -> None:
    with pytest.raises(BadPattern) as caught:
        IgnoreMatcher(read_patterns(pattern.encode()))
    assert "ignore" in caught.value.hint


def test_a_class_whose_range_runs_backwards_fails_where_it_is_asked_alone() -> None:
    matcher = IgnoreMatcher(["[z-a]/"])
    for _ in range(2):
        with pytest.raises(BadPattern):
            matcher.ignores("x")
    assert not IgnoreMatcher(["![z-a]"]).ignores("x")  # nothing is left out that it could bring back


def test_a_file_is_read_line_by_line() -> None:
    content = "\ufeff# comment\n\nfirst\r\n  /second/ \n #third\n! /fourth/../fifth\n!\n/\n".encode()
    assert read_patterns(content) == ("first", "second", "#third", "!fifth", "!", "/")
    assert read_patterns(b"") == ()
    assert read_patterns(b"\xff\n") == ("\udcff",)  # a name that is no UTF-8


def test_a_folder_is_entered_only_where_something_may_be_kept_below() -> None:
    matcher = IgnoreMatcher(["*", "!src/app/**"])
    assert matcher.may_keep_below("src")
    assert matcher.may_keep_below("src/app")
    assert not matcher.may_keep_below("docs")
    assert not matcher.may_keep_below("srcs")
    assert IgnoreMatcher(["*", "!**/keep"]).may_keep_below("docs")
