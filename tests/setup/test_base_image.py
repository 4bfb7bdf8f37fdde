"""What the Python base image is made of, and that it is another image when that changes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from _machine import Programs

from devenv.core.errors import ToolMissing
from scripts.machine.base_image import BASE_IMAGE, CHECK, pip_settings


@pytest.fixture
def bundle(programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "bundle.crt"
    file.write_text("certificate one\n", encoding="ascii")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    monkeypatch.setattr("scripts.machine.base_image.pip_command", lambda: ["pip"])
    programs.add("pip")
    return file


def test_the_tag_is_the_same_until_something_in_the_image_would_differ(bundle: Path, programs: Programs) -> None:
    tag = BASE_IMAGE.tag("bookworm")
    assert tag == BASE_IMAGE.tag("bookworm")
    assert BASE_IMAGE.is_ours(tag)
    assert tag.startswith("localhost/devenv-python:bookworm-")
    others = {tag, BASE_IMAGE.tag("trixie")}
    programs.add("pip", "echo \"global.index-url='https://index.test/simple'\"")
    others.add(BASE_IMAGE.tag("bookworm"))
    bundle.write_text("certificate two\n", encoding="ascii")
    assert len(others | {BASE_IMAGE.tag("bookworm")}) == 4


def test_somebody_elses_image_is_not_ours() -> None:
    assert not BASE_IMAGE.is_ours("python:3.12-slim")
    assert not BASE_IMAGE.is_ours("localhost/devenv-python-of-mine:1")


def test_without_certificates_it_says_what_to_install(bundle: Path) -> None:
    bundle.unlink()
    with pytest.raises(ToolMissing, match=r"bundle\.crt") as raised:
        BASE_IMAGE.recipe()
    assert "ca-certificates" in raised.value.hint


@pytest.mark.parametrize(
    ("version", "code"), [((3, 9, 2), "it has Python 3.9.2; 3.11 or newer is needed"), ((3, 11, 2), False)]
)
def test_the_check_of_an_image_refuses_an_old_python(
    monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...], code: object
) -> None:
    monkeypatch.setattr(sys, "version_info", version)
    monkeypatch.setattr(sys, "version", f"{'.'.join(map(str, version))} (default)")
    with pytest.raises(SystemExit) as raised:
        exec(CHECK)
    assert raised.value.code == code


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
