"""The table [verify.kubernetes] of devenv.toml."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.core.errors import UsageError
from devenv.core.settings import load_config
from devenv.core.verify_settings import KubeVerifySettings

TABLE = """
[verify.kubernetes]
overlay = "dev"
rolling = "staging"
secrets = ["database/password", "database/ca.crt"]
client = "backend"
ingress = "https://127.0.0.1:8443"
images = {"docker.io/library/postgres" = "postgres:17"}
"""


def read(folder: Path, text: str) -> KubeVerifySettings:
    (folder / "devenv.toml").write_text(text)
    return load_config(folder, {}).verify.kubernetes


def test_all_of_it_is_read_and_all_of_it_may_be_left_out(tmp_path: Path) -> None:
    assert read(tmp_path, "") == KubeVerifySettings()
    assert read(tmp_path, TABLE) == KubeVerifySettings(
        overlay="dev",
        rolling="staging",
        secrets=("database/password", "database/ca.crt"),
        client="backend",
        ingress="https://127.0.0.1:8443",
        images={"docker.io/library/postgres": "postgres:17"},
    )


@pytest.mark.parametrize("pair", ["database", "/password", "database/", "a/b/c"])
def test_a_secret_without_its_key_is_an_error_that_says_how_to_write_it(tmp_path: Path, pair: str) -> None:
    with pytest.raises(UsageError) as error:
        read(tmp_path, f'[verify.kubernetes]\nsecrets = ["{pair}"]')
    assert repr(pair) in error.value.message
    assert "SECRET/KEY" in error.value.hint


def test_a_key_that_is_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="overlays"):
        read(tmp_path, '[verify.kubernetes]\noverlays = "dev"')
