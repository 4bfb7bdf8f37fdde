"""Folders that cannot be rendered as they are: nothing is fetched, and what is missing is told."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from folders import check_folder, write

from devenv.core.errors import UsageError


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """A server on loopback that offers a base, and remembers who asked."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: remote}\n")

        def log_message(self, format: str, *arguments: object) -> None:
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http_server:
        thread = threading.Thread(target=http_server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{http_server.server_port}", asked
        http_server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    "entry",
    [
        "https://github.com/example/base//deploy?ref=v1",
        "github.com/example/base",
        "git@github.com:example/base.git",
        "git::https://example.com/base",
        "ssh://git@example.com/base",
    ],
)
def test_a_remote_base_is_refused_with_a_clear_error(entry: str, tmp_path: Path) -> None:
    write(tmp_path, kustomization=f"resources:\n  - {entry}\n")
    report = check_folder(tmp_path)
    (finding,) = report.findings
    assert finding.rule == "remote-base"
    assert finding.line == 2
    assert "not on this machine" in finding.message
    assert "vendoring" in finding.fix
    assert report.objects == 0


@pytest.mark.parametrize(
    "kustomization",
    [
        "resources: [URL/base.yaml]\n",
        "configMapGenerator: [{name: a, files: [a=URL/a.txt]}]\n",
        "patches: [{path: URL/patch.yaml}]\n",
        "generators: [generator.yaml]\n",
        "generators:\n  - |-\n    apiVersion: builtin\n    kind: ConfigMapGenerator\n    metadata: {name: a}\n"
        "    files: [a=URL/a.txt]\n",
        "openapi: {path: URL/schema.json}\n",
    ],
)
def test_nothing_is_fetched(kustomization: str, tmp_path: Path, server: tuple[str, list[str]]) -> None:
    url, asked = server
    write(
        tmp_path,
        kustomization=kustomization.replace("URL", url),
        generator=f"apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata: {{name: a}}\nfiles: ['{url}/a.txt']\n",
    )
    report = check_folder(tmp_path)
    assert {finding.rule for finding in report.findings} == {"remote-base"}
    assert asked == []


def test_a_missing_secret_file_is_stood_in_for_by_its_example(tmp_path: Path) -> None:
    write(
        tmp_path,
        base__kustomization="resources: []\nsecretGenerator: [{name: db, envs: [db.env]}]\n",
        over__kustomization="resources: [../base]\nmetadata: {annotations: {devenv.io/environment: development}}\n",
    )
    over = tmp_path / "over"
    (missing,) = check_folder(over).findings
    assert (missing.rule, missing.line) == ("missing-file", 2)
    (tmp_path / "base" / "db.env.example").write_text("PASSWORD=change-me\n", "utf-8")
    report = check_folder(over)
    assert report.findings == ()
    assert report.objects == 1
    assert report.notes == ("db.env is not there: db.env.example stands in",)
    assert not (tmp_path / "base" / "db.env").exists()


def test_what_is_no_kustomize_folder_is_a_wrong_command(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has no kustomization\.yaml"):
        check_folder(tmp_path)


def test_cycles_end(tmp_path: Path) -> None:
    write(tmp_path, a__kustomization="resources: [../b]\n", b__kustomization="resources: [../a]\n")
    (finding,) = check_folder(tmp_path / "a").findings
    assert "cycle" in finding.message
