from __future__ import annotations

from pathlib import Path

from _policies import SOURCES_DEB822, SOURCES_ONE_LINE, SOURCES_WITH_KEY

from scripts.machine.apt_sources import Source, read_sources


def folder_with(tmp_path: Path, **files: str) -> Path:
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    for name, text in files.items():
        target = tmp_path / "sources.list" if name == "main" else parts / name.replace("_", ".")
        target.write_text(text, encoding="utf-8")
    return tmp_path


def test_a_stanza_keeps_suites_components_and_key(tmp_path: Path) -> None:
    key = {"Signed-By": "/usr/share/keyrings/debian.gpg"}
    assert read_sources(folder_with(tmp_path, debian_sources=SOURCES_DEB822)) == [
        Source(("http://mirror.test/debian",), ("bookworm", "bookworm-updates"), ("main", "non-free"), key),
        Source(("http://mirror.test/debian-security",), ("bookworm-security",), ("main",), key),
    ]


def test_one_line_entries_become_the_same_with_deb822_names(tmp_path: Path) -> None:
    first, second, third = read_sources(folder_with(tmp_path, main=SOURCES_ONE_LINE))
    assert first == Source(
        ("http://mirror.test/debian/",),
        ("bookworm",),
        ("main",),
        {"Signed-By": "/usr/share/keyrings/debian.gpg", "Architectures": "amd64 arm64"},
    )
    assert second.suites == ("bookworm-security",)
    assert second.options == {}
    assert third.suites == ("bookworm-updates",)


def test_the_files_are_read_in_apts_order_and_others_are_left_alone(tmp_path: Path) -> None:
    line = "deb http://mirror.test/{} bookworm main\n"
    folder = folder_with(
        tmp_path,
        main=line.format("first"),
        b_list=line.format("third"),
        a_list=line.format("second"),
        c_sources="Types: deb\nURIs: http://mirror.test/fourth\nSuites: bookworm\nComponents: main\n",
        d_sources_disabled=line.format("never"),
        e_list_save=line.format("never"),
    )
    assert [source.uris[0].rpartition("/")[2] for source in read_sources(folder)] == [
        "first",
        "second",
        "third",
        "fourth",
    ]


def test_disabled_and_source_only_entries_are_left_out(tmp_path: Path) -> None:
    stanza = "Types: {}\nURIs: http://mirror.test/debian\nSuites: bookworm\nComponents: main\nEnabled: {}\n"
    text = "\n".join([stanza.format("deb", "no"), stanza.format("deb-src", "yes"), stanza.format("deb", "yes")])
    assert len(read_sources(folder_with(tmp_path, debian_sources=text))) == 1


def test_a_comment_inside_a_stanza_does_not_end_it(tmp_path: Path) -> None:
    text = "Types: deb\n# a note\nURIs: http://mirror.test/debian\nSuites: bookworm\n#\nComponents: main\n"
    assert read_sources(folder_with(tmp_path, debian_sources=text)) == [
        Source(("http://mirror.test/debian",), ("bookworm",), ("main",))
    ]


def test_a_key_block_and_a_password_travel_word_for_word_a_snapshot_does_not(tmp_path: Path) -> None:
    (source,) = read_sources(folder_with(tmp_path, debian_sources=SOURCES_WITH_KEY))
    assert source.for_suite("testing").stanza() == (
        "Types: deb\n"
        "URIs: https://user:secret@mirror.test/debian\n"
        "Suites: testing\n"
        "Components: main\n"
        "Signed-By: \n"
        " -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINBFe\n -----END PGP PUBLIC KEY BLOCK-----\n"
    )


def test_what_was_derived_reads_back_as_it_was(tmp_path: Path) -> None:
    (source,) = read_sources(folder_with(tmp_path, debian_sources=SOURCES_WITH_KEY))
    again = tmp_path / "again"
    again.mkdir()
    folder_with(again, derived_sources=source.stanza())
    assert read_sources(again) == [source]


def test_a_machine_without_sources_has_none(tmp_path: Path) -> None:
    assert read_sources(tmp_path) == []
