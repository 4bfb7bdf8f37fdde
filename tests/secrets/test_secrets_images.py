"""Secrets in images, on a real engine: environment, labels and history."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from devenv.cli import main
from devenv.secrets import ImageError, scan_image

pytestmark = pytest.mark.engine
VALUE = "correct-horse-battery"
DOCKERFILE = f"""\
FROM scratch
ARG BUILD_TOKEN={VALUE}
ENV DB_PASSWORD={VALUE} DB_PASSWORD_FILE=/run/secrets/db PATH=/bin
LABEL api_key={VALUE}
COPY settings.txt /app/
"""


def build(folder: Path, dockerfile: str) -> str:
    tag = f"devenv-test-{uuid.uuid4().hex[:12]}"
    (folder / "Dockerfile").write_text(dockerfile, "utf-8")
    subprocess.run(["docker", "build", "-q", "-t", tag, str(folder)], check=True, capture_output=True, timeout=300)
    return tag


@pytest.fixture
def image(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "settings.txt").write_text("LEVEL=info\n", "utf-8")
    tag = build(tmp_path, DOCKERFILE)
    yield tag
    subprocess.run(["docker", "image", "rm", "-f", tag], check=True, capture_output=True, timeout=60)


def test_every_place_of_an_image_is_searched(image: str) -> None:
    leaks = list(scan_image(image))
    places = {(leak.file.removeprefix(image), leak.name) for leak in leaks}
    assert {
        (" (environment or label)", "DB_PASSWORD"),
        (" (environment or label)", "api_key"),
        (" (history)", "BUILD_TOKEN"),
    } <= places
    assert not any("DB_PASSWORD_FILE" in name for _, name in places)
    assert VALUE not in repr(leaks)


def test_a_clean_image_passes_and_a_leaking_one_fails(
    image: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clean = tmp_path / "clean"
    clean.mkdir()
    (clean / "app.py").write_text("print('hello')\n" * 100, "utf-8")
    tag = build(clean, "FROM scratch\nENV DB_PASSWORD_FILE=/run/secrets/db\nCOPY app.py /app/\n")
    try:
        assert main(["secrets", "check", str(clean), "--image", tag]) == 0
        assert "1 images" in capsys.readouterr().out
        assert main(["secrets", "check", str(clean), "--image", tag, "--image", image]) == 11
        assert VALUE not in capsys.readouterr().out
    finally:
        subprocess.run(["docker", "image", "rm", "-f", tag], check=True, capture_output=True, timeout=60)


def test_an_image_that_is_not_here_is_inconclusive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = f"devenv-test-{uuid.uuid4().hex}"
    assert main(["secrets", "check", str(tmp_path), "--image", missing]) == 12
    assert f"image {missing} was not checked" in capsys.readouterr().out


def test_without_an_engine_images_are_said_to_be_unchecked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    with pytest.raises(ImageError):
        list(scan_image("any"))
    assert main(["secrets", "check", str(tmp_path), "--image", "any"]) == 12
    out = capsys.readouterr().out
    assert "inconclusive" in out
    assert "was not checked" in out
