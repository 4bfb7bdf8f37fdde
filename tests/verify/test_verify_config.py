"""[verify] in devenv.toml: ten lines do, and what is wrong is named with file and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.core.errors import UsageError
from devenv.core.settings import load_config
from devenv.core.verify_settings import BROKEN

TEN_LINES = """
[verify]
budgets = {cold_start = 60}
[[verify.endpoint]]
service = "web"
[[verify.reload]]
service = "web"
file = "app/page.txt"
find = "one"
replace = "{nonce}"
path = "/page"
"""


def test_ten_lines_describe_a_project(tmp_path: Path) -> None:
    (tmp_path / "devenv.toml").write_text(TEN_LINES)
    found = load_config(tmp_path, {}).verify
    assert dict(found.budgets) == {"cold_start": 60.0}
    assert (found.endpoints[0].name, found.endpoints[0].port, found.endpoints[0].path) == ("web", None, "")
    assert found.reloads[0].file == tmp_path / "app/page.txt"
    assert found.reloads[0].broken == BROKEN
    assert found.persistence is None
    assert found.tests == "smoketests"


def test_the_calls_of_persistence_have_the_methods_that_are_usual(tmp_path: Path) -> None:
    table = """
[verify.persistence]
prepare = {endpoint = "web", path = "/lists", method = ""}
write = {endpoint = "web", path = "/items", method = "put"}
read = {endpoint = "web", path = "/items"}
"""
    (tmp_path / "devenv.toml").write_text(table)
    found = load_config(tmp_path, {}).verify.persistence
    assert found is not None
    assert found.prepare is not None
    assert [call.method for call in (found.prepare, found.write, found.read)] == ["POST", "PUT", "GET"]


def test_a_project_without_the_tables_has_defaults(tmp_path: Path) -> None:
    assert load_config(tmp_path, {}).verify.endpoints == ()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[verify]\nbudget = {}", "unknown key verify.budget"),
        ('[verify]\nbudgets = {cold_start = "fast"}', "verify.budgets.cold_start must be a number"),
        ("[[verify.endpoint]]\nport = 80", "verify.endpoint[0].service must be a string that is not empty"),
        ('[[verify.endpoint]]\nservice = "web"\nport = -1', "verify.endpoint[0].port must be a whole number"),
        (TEN_LINES.replace("{nonce}", "two"), "verify.reload[0].replace must be a string with {nonce} in it"),
        (TEN_LINES.replace("app/page.txt", ""), "verify.reload[0]: file must be a string that is not empty"),
        (TEN_LINES.replace('"one"', '""'), "verify.reload[0].find must be a string that is not empty, not ''"),
        ("[verify]\nendpoint = {service = 'x'}", "verify.endpoint must be a list of tables"),
        ("[verify.kubernetes]\nsecrets = 'a/b'", "verify.kubernetes.secrets must be a list of strings, not 'a/b'"),
        ("[verify]\nexclude = ['a', 2]", "verify.exclude[1] must be a string, not 2"),
        ('[verify.persistence]\nwrite = {endpoint = "web", path = "/"}', "verify.persistence.read.endpoint must be"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "devenv.toml").write_text(text)
    with pytest.raises(UsageError) as caught:
        load_config(tmp_path, {})
    assert told in caught.value.message
    assert str(tmp_path / "devenv.toml") in caught.value.message
