"""docs/YOUR_PROJECT.md and the schema say what the code says of devenv.toml, and `devenv config` what holds."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from types import ModuleType

import jsonschema_rs
import pytest

from devenv.cli import main
from devenv.cli.config import MODULES, TABLES, example, keys, reference, schema
from devenv.core.settings import ConfirmSettings, load_config

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "docs/schemas/devenv-toml.schema.json"


def as_json(values: object) -> object:
    """What an editor sees: a date of TOML is a text."""
    return json.loads(json.dumps(values, default=str))


def test_the_reference_is_what_the_code_says() -> None:
    page = (ROOT / "docs/YOUR_PROJECT.md").read_text("utf-8")
    written = page.partition("<!-- reference -->")[2].partition("<!-- end -->")[0].strip()
    assert written == reference().strip(), "write it anew: devenv config --reference"


def test_the_schema_is_what_the_code_says() -> None:
    assert json.loads(SCHEMA.read_text("utf-8")) == json.loads(json.dumps(schema())), (
        f"write it anew: devenv config --schema > {SCHEMA}"
    )


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_each_example_of_the_reference_is_a_file_that_devenv_reads(module: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "devenv.toml").write_text(example(module), "utf-8")
    load_config(tmp_path, {})
    assert jsonschema_rs.validator_for(schema()).is_valid(as_json(tomllib.loads(example(module))))


def test_every_key_is_in_an_example() -> None:
    texts = "\n".join(example(module) for module in MODULES)
    missing = [key for key, _, _ in keys() if f"{key.rpartition('.')[2]} =" not in texts and key not in NAMED_OTHERWISE]
    assert missing == []


NAMED_OTHERWISE = {
    *(f"confirm.{verb}" for verb in ConfirmSettings.__struct_fields__),  # all are of one kind
    "verify.reload[].endpoint",  # the service's own, unless several share its name
    "verify.reload[].broken",
    "keys",  # its keys are names of actions
    "manifests.autoscaling",  # its two keys are there
}


@pytest.mark.parametrize("file", ["devenv.toml", *map(str, ROOT.glob("tests/**/devenv.toml"))])
def test_files_that_devenv_reads_are_valid_by_the_schema(file: str) -> None:
    values = as_json(tomllib.loads((ROOT / file).read_text("utf-8")))
    assert [error.message for error in jsonschema_rs.validator_for(schema()).iter_errors(values)] == []


@pytest.mark.parametrize(
    "text",
    [
        "wait_timeuot = 1",
        "wait_timeout = -1",
        "[compose]\nfiles = 'x'",
        "[[verify.endpoint]]\nport = 1",
        "[tasks.a]\ncommand = ''",
        "[cache]\nmax_mib = 0",
        "[manifests.probes.livenes]\nperiod = 1",
        "[manifests.autoscaling]\ndisk = 1",
        "[manifests.overlays.a]\nenvironment = 'prod'",
    ],
)
def test_what_devenv_refuses_the_schema_refuses_too(text: str) -> None:
    assert not jsonschema_rs.validator_for(schema()).is_valid(tomllib.loads(text))


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, tuple[object, str]]:
    assert main(["config", "--json", *words]) == 0
    return {row["key"]: (row["value"], row["from"]) for row in json.loads(capsys.readouterr().out)["settings"]}


def test_each_value_tells_where_it_is_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "devenv.toml"
    file.write_text('read_only = true\nwait_timeout = 7\n[kubernetes]\nallow = ["a"]\nnamespace = "b"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEVENV_WAIT_TIMEOUT", "9")
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", "shop")
    found = shown(capsys, "--context", "kind-x", "-f", "other.yaml")
    assert found["read_only"] == (True, f"{file}:1")
    assert found["wait_timeout"] == (9.0, "DEVENV_WAIT_TIMEOUT")
    assert found["kubernetes.allow"] == (["a"], f"{file}:4")
    assert found["kubernetes.namespace"] == ("b", f"{file}:5")
    assert found["kubernetes.context"] == ("kind-x", "--context")
    assert found["compose.files"] == (["other.yaml"], "--file")
    assert found["compose.project_name"] == ("shop", "COMPOSE_PROJECT_NAME")
    assert found["load.path"] == ("/", "default")
    kubernetes = {"kubernetes.context", "kubernetes.namespace", "kubernetes.allow", "kubernetes.minikube"}
    assert set(shown(capsys, "kubernetes")) == kubernetes
    tables = {key.partition(".")[0].partition("[")[0] for key in found}
    assert tables == {"read_only", "wait_timeout", *TABLES}


def test_a_wrong_file_is_told_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "devenv.toml").write_text("\n[kubernetes]\nallow = 'a'\n")
    monkeypatch.chdir(tmp_path)
    assert main(["config"]) == 2
    assert "devenv.toml:3: kubernetes.allow must be a list of strings, not 'a'" in capsys.readouterr().err
