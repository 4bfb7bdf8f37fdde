from __future__ import annotations

from pathlib import Path

import pytest

from devenv.core.errors import UsageError
from devenv.core.manifest_settings import Allowance, OverlaySettings, ProbeSettings
from devenv.core.settings import load_config

TEXT = """\
[manifests]
kubernetes_versions = ["1.36"]
[manifests.overlays.staging]
path = "k8s/staging"
environment = "staging"
[manifests.probes.liveness]
path = "/health"
initial_delay = 30
[manifests.autoscaling]
cpu = 70
[manifests.compose]
workloads = { db = "postgres" }
[[manifests.compose.allow]]
rule = "compose-limits"
service = "api"
overlays = ["staging"]
reason = "smaller nodes"
"""


def write(folder: Path, text: str) -> Path:
    (folder / "devenv.toml").write_text(text, "utf-8")
    return folder


def test_what_is_declared_is_read_and_what_is_left_out_is_open(tmp_path: Path) -> None:
    manifests = load_config(write(tmp_path, TEXT), {}).manifests
    assert manifests.versions == ("1.36",)
    assert manifests.overlays == {"staging": OverlaySettings(tmp_path / "k8s/staging", "staging")}
    assert manifests.probes == {"liveness": ProbeSettings("/health", 30, None, None)}
    assert manifests.autoscaling == {"cpu": 70}
    assert manifests.compose.workloads == {"db": "postgres"}
    assert manifests.compose.allow == (Allowance("compose-limits", "api", "smaller nodes", overlays=("staging",)),)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            'environment = "staging"',
            'environment = "stagin"',
            "manifests.overlays.staging.environment must be one of development, staging, production, not 'stagin'",
        ),
        ('path = "k8s/staging"', 'pth = "k8s/staging"', "unknown key manifests.overlays.staging.pth"),
        ("probes.liveness", "probes.livenes", "unknown key manifests.probes.livenes"),
        ("initial_delay = 30", 'initial_delay = "30"', "manifests.probes.liveness.initial_delay must be"),
        ("initial_delay = 30", "initial_dely = 30", "unknown key manifests.probes.liveness.initial_dely"),
        ("cpu = 70", "gpu = 70", "unknown key manifests.autoscaling.gpu"),
        (
            'reason = "smaller nodes"',
            "",
            "manifests.compose.allow[0].reason must be a string that is not empty, and it is not there",
        ),
        ('service = "api"', 'service = "api"\nsrvice = "x"', "unknown key manifests.compose.allow[0].srvice"),
        ('db = "postgres"', "db = 5", "manifests.compose.workloads.db must be a string"),
        ("[manifests.overlays.staging]", "[manifests.overlays]\nx = 5\n[manifests.overlays.staging]", "a table"),
    ],
)
def test_a_mistake_names_the_key(old: str, new: str, said: str, tmp_path: Path) -> None:
    assert old in TEXT
    with pytest.raises(UsageError) as caught:
        load_config(write(tmp_path, TEXT.replace(old, new)), {})
    assert said in caught.value.message


def test_an_overlay_without_a_path_is_the_folder_of_the_file(tmp_path: Path) -> None:
    text = "[manifests.overlays.here]\n[manifests.overlays.empty]\npath = ''\n[manifests.autoscaling]\ncpu = 0"
    found = load_config(write(tmp_path, text), {}).manifests
    assert found.overlays == {"here": OverlaySettings(tmp_path), "empty": OverlaySettings(tmp_path)}
    assert found.autoscaling == {}
