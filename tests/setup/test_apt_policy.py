from __future__ import annotations

from pathlib import Path

import pytest
from _policies import (
    BACKPORTS,
    BOOKWORM,
    PINNED,
    PINNED_TESTING,
    SOURCES_DEB822,
    SOURCES_ONE_LINE,
    SOURCES_WITH_KEY,
    THIRD_PARTY,
)

from scripts.machine.apt_policy import (
    debian_base,
    knows_testing,
    major_version,
    parse_candidate,
    parse_policy,
    source_of_testing,
    sources_of,
)
from scripts.machine.apt_sources import Source, read_sources


def sources_in(tmp_path: Path, text: str, suffix: str = "sources") -> list[Source]:
    (tmp_path / "sources.list.d").mkdir(exist_ok=True)
    (tmp_path / "sources.list.d" / f"debian.{suffix}").write_text(text, encoding="utf-8")
    return read_sources(tmp_path)


def test_releases_are_read_with_priority_origin_and_name() -> None:
    releases = parse_policy(BOOKWORM + PINNED_TESTING + PINNED)
    assert [(each.priority, each.dist, each.codename) for each in releases] == [
        (500, "bookworm-security", "bookworm-security"),
        (500, "bookworm-updates", "bookworm-updates"),
        (500, "bookworm", "bookworm"),
        (90, "testing", "forky"),
    ]


def test_the_machines_release_is_the_one_at_normal_priority() -> None:
    assert debian_base(parse_policy(BOOKWORM + PINNED_TESTING)) == "bookworm"


def test_a_machine_that_runs_testing_itself_is_testing() -> None:
    assert debian_base(parse_policy(PINNED_TESTING.replace("  90 ", " 500 "))) == "forky"


def test_a_vendor_who_calls_his_suite_bookworm_is_not_debian() -> None:
    assert debian_base(parse_policy(THIRD_PARTY)) == ""


@pytest.mark.parametrize(("text", "suffix"), [(SOURCES_DEB822, "sources"), (SOURCES_ONE_LINE, "list")])
def test_testing_comes_from_the_releases_own_entry_in_both_formats(tmp_path: Path, text: str, suffix: str) -> None:
    security_first = "".join(reversed(text.partition("\n\n"))) if suffix == "sources" else text
    source = source_of_testing(sources_in(tmp_path, security_first, suffix), parse_policy(BOOKWORM))
    assert source is not None
    assert source.uris[0].rstrip("/") == "http://mirror.test/debian"
    assert source.suites == ("testing",)
    assert source.options["Signed-By"] == "/usr/share/keyrings/debian.gpg"


def test_testing_is_found_beside_vendors_sources_of_the_same_suite(tmp_path: Path) -> None:
    vendor = "Types: deb\nURIs: https://packages.vendor.test/debian\nSuites: bookworm\nComponents: main\n\n"
    found = sources_in(tmp_path, vendor + SOURCES_DEB822)
    source = source_of_testing(found, parse_policy(THIRD_PARTY + BOOKWORM))
    assert source is not None
    assert source.uris == ("http://mirror.test/debian",)


def test_a_password_in_the_source_does_not_hide_it(tmp_path: Path) -> None:
    policy = BOOKWORM.replace("http://", "https://")
    source = source_of_testing(sources_in(tmp_path, SOURCES_WITH_KEY), parse_policy(policy))
    assert source is not None
    assert source.uris == ("https://user:secret@mirror.test/debian",)


def test_security_alone_is_no_base_for_testing(tmp_path: Path) -> None:
    only_security = SOURCES_DEB822.partition("\n\n")[2]
    assert source_of_testing(sources_in(tmp_path, only_security), parse_policy(BOOKWORM)) is None


def test_an_image_takes_the_release_with_updates_and_security_and_nothing_else(tmp_path: Path) -> None:
    more = "\nTypes: deb\nURIs: http://mirror.test/debian\nSuites: testing bookworm-backports\nComponents: main\n"
    found = sources_in(tmp_path, SOURCES_DEB822 + more)
    releases = parse_policy(BOOKWORM + PINNED_TESTING + BACKPORTS + THIRD_PARTY)
    assert [source.suites[0] for source in sources_of("bookworm", found, releases)] == [
        "bookworm",
        "bookworm-updates",
        "bookworm-security",
    ]


def test_testing_is_recognised_by_suite_whatever_the_source_calls_it() -> None:
    assert knows_testing(parse_policy(PINNED_TESTING.replace(" testing/main", " forky/main")))
    assert not knows_testing(parse_policy(BOOKWORM))


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("docker.io:\n  Installed: (none)\n  Candidate: 20.10.24+dfsg1-1+b6\n", "20.10.24+dfsg1-1+b6"),
        ("docker-buildx:\n  Installed: (none)\n  Candidate: (none)\n", ""),
        ("", ""),
    ],
)
def test_the_candidate_is_what_apt_would_install(text: str, version: str) -> None:
    assert parse_candidate(text) == version


@pytest.mark.parametrize(
    ("version", "major"),
    [("28.5.2+dfsg4-5", 28), ("2:24.0.5-0ubuntu1", 24), ("v5.6.1", 5), ("20.10.24", 20), ("", 0), ("dev", 0)],
)
def test_the_major_version_is_behind_the_epoch(version: str, major: int) -> None:
    assert major_version(version) == major
