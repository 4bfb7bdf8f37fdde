"""apt as the scripts use it, and which of a machine's archives are Debian's."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from _machine import BACKPORTS, BOOKWORM, MAIN, SECURITY, TESTING, VENDOR, Apt, Listed, Programs

from devenv.core.errors import DevenvError
from scripts.machine import apt as machine_apt
from scripts.machine.apt import archives, knows_testing, machine_release, release_archives, source_for_testing

SOURCES_ONE_LINE = """\
# comment
deb-src http://mirror.test/debian bookworm main
deb http://mirror.test/debian-security bookworm-security main
  deb [signed-by=/k/a.gpg,/k/b.gpg trusted=yes arch=amd64] http://mirror.test/debian bookworm main # kept
"""
SOURCES_WITH_KEY = """\
Types: deb
URIs: https://user:secret@mirror.test/debian
Suites: bookworm
Components: main
Snapshot: 20250520T000000Z
Check-Valid-Until: no
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQINBFe
 -----END PGP PUBLIC KEY BLOCK-----
"""


def test_archives_are_read_with_priority_names_and_their_own_entrys_key(apt: Apt) -> None:
    apt.knows(*BOOKWORM, TESTING)
    security, debian = "Signed-By: /usr/share/keyrings/security.gpg\n", "Signed-By: /usr/share/keyrings/debian.gpg\n"
    assert [(each.priority, each.dist, each.codename, each.component, each.trust) for each in archives()] == [
        (500, "bookworm-security", "bookworm-security", "main", security),
        (500, "bookworm-updates", "bookworm-updates", "main", debian),
        (500, "bookworm", "bookworm", "non-free", debian),
        (500, "bookworm", "bookworm", "main", debian),
        (90, "testing", "forky", "main", debian),
    ]


def test_a_machine_of_two_architectures_has_each_archive_once(apt: Apt) -> None:
    apt.knows(MAIN, replace(MAIN, architecture="i386"))
    assert len(archives()) == 1


def test_where_no_list_was_read_yet_they_are_read_first(debian: Apt, programs: Programs) -> None:
    ready = debian.targets.with_name("ready")
    debian.targets.rename(ready)
    programs.apt_get(debian.targets, f'/bin/cp "{ready}" "{debian.targets}"')
    assert machine_release(archives()) == "bookworm"


@pytest.mark.parametrize(
    ("listed", "codename"),
    [
        ((*BOOKWORM, TESTING), "bookworm"),
        ((*BOOKWORM, replace(TESTING, priority=500)), "forky"),
        ((VENDOR,), ""),
        ((), ""),
    ],
    ids=["a pinned testing is not the machine's", "a machine that runs testing", "a vendor's bookworm", "none"],
)
def test_the_machines_release_is_debians_newest_at_normal_priority(
    apt: Apt, listed: tuple[Listed, ...], codename: str
) -> None:
    apt.knows(*listed)
    assert machine_release(archives()) == codename


@pytest.mark.parametrize(
    ("text", "name", "entry", "trust"),
    [
        (None, "debian.sources", 2, "/usr/share/keyrings/debian.gpg"),
        (SOURCES_ONE_LINE, "sources.list", 4, "/k/a.gpg /k/b.gpg\nTrusted: yes"),
    ],
)
def test_testing_comes_from_the_releases_own_entry_in_both_formats(
    apt: Apt, text: str | None, name: str, entry: int, trust: str
) -> None:
    listed = (VENDOR, SECURITY, replace(MAIN, entry=entry))
    apt.knows(*listed, name=name, **({"sources": text} if text else {}))
    assert source_for_testing(archives()) == (
        f"Types: deb\nURIs: http://mirror.test/debian/\nSuites: testing\nComponents: main\nSigned-By: {trust}\n"
    )


def test_a_key_block_and_a_password_travel_word_for_word_a_snapshot_does_not(apt: Apt) -> None:
    apt.knows(replace(MAIN, uri="https://user:secret@mirror.test/debian", entry=1), sources=SOURCES_WITH_KEY)
    (archive,) = archives()
    assert archive.stanza("testing") == (
        "Types: deb\n"
        "URIs: https://user:secret@mirror.test/debian/\n"
        "Suites: testing\n"
        "Components: main\n"
        "Signed-By: \n"
        " -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINBFe\n -----END PGP PUBLIC KEY BLOCK-----\n"
        "Check-Valid-Until: no\n"
    )


def test_an_entry_without_options_has_none(apt: Apt) -> None:
    apt.knows(replace(MAIN, entry=3), sources=SOURCES_ONE_LINE, name="sources.list")
    assert [each.trust for each in archives()] == [""]


def test_security_alone_is_no_base_for_testing(apt: Apt) -> None:
    apt.knows(SECURITY)
    assert source_for_testing(archives()) == ""


def test_an_image_takes_the_release_with_updates_and_security_and_nothing_else(apt: Apt) -> None:
    apt.knows(*BOOKWORM, TESTING, BACKPORTS, VENDOR)
    assert [(each.dist, each.component) for each in release_archives("bookworm", archives())] == [
        ("bookworm-security", "main"),
        ("bookworm-updates", "main"),
        ("bookworm", "non-free"),
        ("bookworm", "main"),
    ]


def test_testing_is_recognised_by_suite_whatever_the_source_calls_it(apt: Apt) -> None:
    apt.knows(*BOOKWORM)
    assert not knows_testing(archives())
    apt.knows(*BOOKWORM, replace(TESTING, dist="forky"))
    assert knows_testing(archives())


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("docker.io:\n  Installed: (none)\n  Candidate: 20.10.24+dfsg1-1+b6\n", "20.10.24+dfsg1-1+b6"),
        ("docker-buildx:\n  Installed: (none)\n  Candidate: (none)\n", ""),
        ("", ""),
    ],
)
def test_the_candidate_is_what_apt_would_install(programs: Programs, text: str, version: str) -> None:
    programs.add("apt-cache", f"printf '%s' '{text}'")
    assert machine_apt.candidate("docker.io") == version


@pytest.mark.parametrize(
    ("version", "major"),
    [("28.5.2+dfsg4-5", 28), ("2:24.0.5-0ubuntu1", 24), ("v5.6.1", 5), ("20.10.24", 20), ("", 0), ("dev", 0)],
)
def test_the_major_version_is_behind_the_epoch(version: str, major: int) -> None:
    assert machine_apt.major_version(version) == major


@pytest.mark.parametrize(
    ("status", "cut_short"),
    [
        ("install ok installed", False),
        ("install ok half-configured", True),
        ("install ok unpacked", True),
        ("deinstall ok config-files", False),
        ("", False),
    ],
)
def test_a_package_is_cut_short_when_dpkg_says_so(programs: Programs, status: str, cut_short: bool) -> None:
    programs.add("dpkg-query", f'printf "%s" "{status}"')
    assert machine_apt.is_cut_short("docker.io") == cut_short


def test_an_install_that_fails_is_mended_tried_again_and_then_told(apt: Apt, programs: Programs) -> None:
    programs.apt_get(apt.targets, "echo 'E: Unable to fetch some archives' >&2; exit 100")
    with pytest.raises(DevenvError, match="Unable to fetch some archives") as raised:
        machine_apt.install("docker.io", "iptables")
    assert "/etc/apt" in raised.value.hint
    steps = [re.sub(r"-o \S+ |--force-\S+|-y |--no-install-recommends ", "", call) for call in programs.calls()]
    assert [step.strip() for step in steps] == [
        "apt-get install docker.io iptables",
        "dpkg --configure -a",
        "apt-get update",
        "apt-get install --fix-broken",
        "apt-get install docker.io iptables",
    ]


def test_only_settings_for_the_way_to_a_mirror_go_into_an_image(programs: Programs) -> None:
    lines = ('Acquire::http::Proxy "http://proxy.test";', 'APT::Install-Recommends "no";', 'Acquire::Check-Date "no";')
    programs.add("apt-config", "\n".join(f"echo '{line}'" for line in lines))
    assert machine_apt.acquire_settings() == [lines[0], lines[2]]
