from __future__ import annotations

from pathlib import Path

import pytest

from scripts.machine.apt_sources import Source
from scripts.machine.base_recipe import Recipe, codename_in, is_ours, pip_settings, sources_list


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    file = tmp_path / "bundle.crt"
    file.write_text("certificate one\n", encoding="ascii")
    return file


def test_the_tag_is_the_same_until_something_in_the_image_would_differ(bundle: Path) -> None:
    tag = Recipe("bookworm", bundle, "").tag
    assert tag == Recipe("bookworm", bundle, "").tag
    assert is_ours(tag)
    assert codename_in(tag) == "bookworm"
    others = {tag, Recipe("trixie", bundle, "").tag, Recipe("bookworm", bundle, "[global]\n").tag}
    bundle.write_text("certificate two\n", encoding="ascii")
    assert len(others | {Recipe("bookworm", bundle, "").tag}) == 4


def test_somebody_elses_image_is_not_ours() -> None:
    assert not is_ours("python:3.12-slim")
    assert not is_ours("localhost/devenv-python-of-mine:1")


def test_the_machines_index_goes_into_the_image_the_environment_wins() -> None:
    listing = (
        "global.cert='/etc/ssl/certs/ca-certificates.crt'\n"
        "global.index-url='https://one.test/simple'\n"
        "global.trusted-host='one.test'\n"
        ":env:.index-url='https://two.test/simple'\n"
    )
    assert pip_settings(listing) == "[global]\nindex-url = https://two.test/simple\ntrusted-host = one.test\n"


def test_an_index_on_this_machines_disk_stays_here() -> None:
    listing = "global.extra-index-url='file:///srv/simple file:///srv/more/simple'\nglobal.find-links='/srv/wheels'\n"
    assert pip_settings(listing) == ""


def test_several_indexes_in_one_setting_are_kept_apart() -> None:
    listing = "global.extra-index-url='https://one.test/simple\\nfile:///srv/simple\\nhttps://two.test/simple'\n"
    assert pip_settings(listing) == "[global]\nextra-index-url = https://one.test/simple https://two.test/simple\n"


def test_a_password_never_gets_into_an_image(capsys: pytest.CaptureFixture[str]) -> None:
    assert pip_settings("global.index-url='https://me:hunter2@index.test/simple'\n") == ""
    told = capsys.readouterr()
    assert "index.test" in told.err
    assert "hunter2" not in told.err + told.out


def test_the_list_for_mmdebstrap_names_keys_and_trust(tmp_path: Path) -> None:
    sources = [
        Source(("http://mirror.test/debian",), ("bookworm",), ("main", "contrib"), {"Signed-By": "/k/a.gpg /k/b.gpg"}),
        Source(("http://mirror.test/security",), ("bookworm-security",), ("main",), {"Trusted": "yes"}),
        Source(("http://mirror.test/plain",), ("bookworm",), ("main",)),
    ]
    assert sources_list(sources, tmp_path).splitlines() == [
        "deb [signed-by=/k/a.gpg,/k/b.gpg] http://mirror.test/debian bookworm main contrib",
        "deb [trusted=yes] http://mirror.test/security bookworm-security main",
        "deb http://mirror.test/plain bookworm main",
    ]


def test_a_key_block_becomes_a_file_that_apt_can_read(tmp_path: Path) -> None:
    block = "\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINBFe\n -----END PGP PUBLIC KEY BLOCK-----"
    source = Source(("http://mirror.test/debian",), ("bookworm",), ("main",), {"Signed-By": block})
    line = sources_list([source], tmp_path)
    assert f"signed-by={tmp_path / '0.asc'}" in line
    assert (tmp_path / "0.asc").read_text(encoding="ascii") == (
        "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQINBFe\n-----END PGP PUBLIC KEY BLOCK-----\n"
    )
