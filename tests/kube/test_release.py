"""`devenv release`: only digests that a verified run knows are written, and nothing else of the overlay changes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from devenv.ci.release import Kustomization
from devenv.cli import main
from devenv.control.deploy.outcome import Check, Status
from devenv.core.errors import UsageError
from devenv.runs.criteria import Verdict
from devenv.runs.report import Report, TestResult
from devenv.verify.service_verdicts import ServiceVerdicts, Subject
from fakes.api_server import ApiServer
from tests.kube.deploying import QUICK, Deployer, ScriptedProver, application

A, B = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
ZEROS = f"sha256:{'0' * 64}"
PRODUCTION = f"""\
# Three of each.
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: default
# Filled in at release.
images:
  - name: web   # ours
    newName: ghcr.io/shop/web
    digest: {ZEROS}  # until then
replicas: []
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kubeconfig: Path) -> Path:
    folder = tmp_path / "shop"
    for name in ("staging", "production"):
        (folder / name).mkdir(parents=True)
        (folder / name / "kustomization.yaml").write_text(PRODUCTION)
    lines = "".join(f'[manifests.overlays.{name}]\npath = "{name}"\n' for name in ("staging", "production"))
    (folder / "devenv.toml").write_text(lines)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    for name in ("DEVENV_CONTEXT", "DEVENV_NAMESPACE", "DEVENV_READ_ONLY", "DEVENV_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def run_in_staging(live: ApiServer, deploy: Deployer, tmp_path: Path) -> Callable[..., None]:
    """Deploy a digest to staging on a machine; `here`: on this one, which then knows the revision itself."""

    def run(digest: str = A, *, verify: bool = True, here: bool = True, image: str = "ghcr.io/shop/web") -> None:
        deploy.state = tmp_path / ("home/devenv" if here else "runner")
        deploy.prover = ScriptedProver
        deploy(application(f"{image}@{digest}"), overlay="staging", verify=verify, wait=True, patience=QUICK)

    return run


def image_in(folder: Path) -> str:
    digest: str = yaml.safe_load((folder / "production/kustomization.yaml").read_text())["images"][0]["digest"]
    return digest


def test_what_staging_proved_is_written_and_nothing_else_changes(
    shop: Path, run_in_staging: Callable[..., None], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run_in_staging()
    assert main(["release", "production", "--from", "staging"]) == 0
    assert (shop / "production/kustomization.yaml").read_text() == PRODUCTION.replace(ZEROS, A)
    assert "staging in minikube" in capsys.readouterr().out
    (line,) = (tmp_path / "home/devenv/audit.jsonl").read_text().splitlines()
    assert json.loads(line)["digests"] == {"ghcr.io/shop/web": A}


def test_another_machine_reads_the_clusters_record(
    shop: Path, run_in_staging: Callable[..., None], capsys: pytest.CaptureFixture[str], live: ApiServer
) -> None:
    run_in_staging(here=False)
    assert main(["release", "production", "--from", "staging", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"][0]["digest"] == A
    run_in_staging(B, here=False)
    assert main(["release", "production", "--from", "staging", "--stdout"]) == 0
    assert capsys.readouterr().out == PRODUCTION.replace(ZEROS, B)
    assert image_in(shop) == A  # --stdout writes nothing


def test_what_was_deployed_and_not_proven_is_refused(
    shop: Path, run_in_staging: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    run_in_staging(verify=False)
    for words in (("--from", "staging"), ("--image", f"web={A}")):
        assert main(["release", "production", *words]) == 10
        told = capsys.readouterr().err
        assert "No verified run knows" in told
        assert "--verify" in told
    assert image_in(shop) == ZEROS


def test_a_proof_that_is_inconclusive_releases_nothing(
    shop: Path, deploy: Deployer, live: ApiServer, tmp_path: Path
) -> None:
    deploy.state, half = tmp_path / "home/devenv", (Check("web", Status.INCONCLUSIVE, "no right to forward"),)
    deploy.prover = lambda: ScriptedProver([half])
    deploy(application(f"ghcr.io/shop/web@{A}"), overlay="staging", verify=True, patience=QUICK)
    assert main(["release", "production", "--from", "staging"]) == 10


def test_a_digest_by_hand_must_be_one_that_was_verified(
    shop: Path, run_in_staging: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    run_in_staging(A)
    assert main(["release", "production", "--image", f"web={B}"]) == 10
    assert "No verified run knows the digest sha256:bbbbbbbbbbbb" in capsys.readouterr().err
    assert main(["release", "production", "--image", f"web=ghcr.io/shop/web@{A}"]) == 0
    assert image_in(shop) == A


def test_the_same_digest_of_another_image_is_not_this_ones(shop: Path, run_in_staging: Callable[..., None]) -> None:
    run_in_staging(A, image="ghcr.io/shop/other")
    assert main(["release", "production", "--image", f"web={A}"]) == 10
    assert main(["release", "production", "--from", "staging"]) == 10


@pytest.mark.parametrize(("verdict", "code"), [(Verdict.PASSED, 0), (Verdict.FAILED, 10), (Verdict.INCONCLUSIVE, 10)])
def test_smoke_tests_on_kubernetes_that_passed_verify_a_digest(
    shop: Path, tmp_path: Path, verdict: Verdict, code: int, smoke_report: Callable[[Verdict], Report]
) -> None:
    file = tmp_path / "home/devenv/history.sqlite3"
    ServiceVerdicts(file).add(smoke_report(verdict), {"web": Subject(A, "x")}, whole=True)
    assert main(["release", "production", "--image", f"web={A}"]) == code


@pytest.fixture
def smoke_report() -> Callable[[Verdict], Report]:
    from devenv.runs.identity import Commit, this_machine

    def report(verdict: Verdict) -> Report:
        test = TestResult(id="t", behaviour="answers", verdict=verdict, seconds=1.0, services=("web",))
        return Report(
            run="r1",
            began=time.time() - 9,
            seconds=1.0,
            project="kubernetes:minikube/x",
            target="kubernetes",
            isolated=True,
            machine=this_machine(),
            commit=Commit("c", False),
            measurements=(),
            tests=(test,),
        )

    return report


def test_without_any_record_or_cluster_it_says_so(
    shop: Path, api: ApiServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert main(["release", "production", "--from", "staging"]) == 10
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    assert main(["release", "production", "--from", "staging"]) == 2
    assert "kubeconfig" in capsys.readouterr().err


def test_a_cluster_that_is_away_is_a_warning_where_this_machine_knows(
    shop: Path,
    run_in_staging: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    run_in_staging()
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    assert main(["release", "production", "--from", "staging", "--dry-run"]) == 0
    assert "record was not read" in capsys.readouterr().err
    assert image_in(shop) == ZEROS


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--image", "web=latest"), 2),
        (("--image", f"={A}"), 2),
        (("--image", f"web={ZEROS}"), 2),
        (("--image", f"web={A[:-1]}"), 2),
        (("--image", f"none={A}"), 2),
        (("--from", "nowhere"), 2),
        (("--read-only", "--from", "staging"), 10),
    ],
)
def test_wrong_words_change_nothing(shop: Path, words: tuple[str, ...], code: int) -> None:
    assert main(["release", "production", *words]) == code
    assert image_in(shop) == ZEROS


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("- name: web\n  newTag: '1.2'  # old\n", f"- name: web\n  digest: {A}  # old\n"),
        ("- newName: web\n  name: x\nresources: []\n", f"- newName: web\n  name: x\n  digest: {A}\nresources: []\n"),
        ("- {name: web}\n", f"- {{name: web, digest: {A}}}\n"),
        (f'- {{digest: "{B}", name: web}}\n', f"- {{digest: {A}, name: web}}\n"),
        (
            "- name: other\n  digest: x\n- name: web\n  digest: y",
            f"- name: other\n  digest: x\n- name: web\n  digest: {A}",
        ),
    ],
)
def test_only_the_digest_changes_however_the_entry_is_written(tmp_path: Path, before: str, after: str) -> None:
    file = tmp_path / "kustomization.yaml"
    file.write_text(f"# first\nimages:\n{before}")
    text, released = Kustomization(file).release({"web": (A, "a run")})
    assert text == f"# first\nimages:\n{after}"
    assert len(released) == 1
    assert A in [item["digest"] for item in yaml.safe_load(text)["images"]]


@pytest.mark.parametrize(
    "text", ["", "- a\n", "images: 1\n", "images: []\n", "images: [a]\n", "a: [", "images: [{newName: x}]"]
)
def test_a_kustomization_without_images_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "kustomization.yaml").write_text(text)
    with pytest.raises(UsageError):
        Kustomization(tmp_path / "kustomization.yaml")
