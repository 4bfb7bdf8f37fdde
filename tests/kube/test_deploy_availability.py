"""A deployment that is asked while it goes on: no request may fail or be slow, else it is rolled back."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from devenv.cli import main
from devenv.control.deploy.images import images_of_metadata
from devenv.control.deploy.outcome import Result, Status
from devenv.core.errors import UsageError
from devenv.verify.deploy_proof import RATE, AvailabilityProver, parse_address
from fakes.api_server import ApiServer
from tests.ci.webservice import Answer, serving
from tests.kube.deploying import Deployer, ScriptedProver, application, image_of

DIGEST = f"sha256:{'a' * 64}"


def deploy_asked(deploy: Deployer, url: str, image: str, **budget: float) -> Result:
    least = int(budget.pop("least", 3))
    deploy.prover = lambda: AvailabilityProver(httpx.URL(url), ScriptedProver(), least=least, **budget)
    return deploy(application(image), verify=True, rollback=True).result


def test_what_serves_all_the_time_is_done_and_was_asked_all_the_time(live: ApiServer, deploy: Deployer) -> None:
    with serving(lambda *_: (200, {}, "ok")) as service:
        assert deploy_asked(deploy, service.url, "web:1") is Result.SUCCEEDED
        began = time.monotonic()
        assert deploy_asked(deploy, service.url, "web:2", least=6) is Result.SUCCEEDED
    assert time.monotonic() - began >= 4 / RATE
    check = deploy.last.outcome.proof.checks[-1]  # type: ignore[union-attr]
    assert (check.name, check.status) == ("availability", Status.DONE)
    assert int(check.text.split()[0]) >= 6


@pytest.mark.parametrize("bad", ["slow", "500", "404", "gone"])
def test_one_bad_answer_is_rolled_back(live: ApiServer, deploy: Deployer, bad: str) -> None:
    """The third of the second deployment's requests fails: a slow endpoint fails it as a broken one does."""
    count_at_start = 10**9

    def answer(_: str, __: str, count: int) -> Answer | None:
        if count != count_at_start + 3:
            return 200, {}, "ok"
        if bad == "slow":
            time.sleep(0.6)
            return 200, {}, "ok"
        return None if bad == "gone" else (int(bad), {}, "")

    with serving(answer) as service:
        assert deploy_asked(deploy, service.url, "web:1") is Result.SUCCEEDED
        count_at_start = len(service.requests)
        assert deploy_asked(deploy, service.url, "web:2", within=0.4, least=6) is Result.ROLLED_BACK
    assert image_of(live) == "web:1"
    outcome = deploy.last.outcome  # type: ignore[union-attr]
    words = {"slow": "took longer than 0.4 s", "gone": "took longer", "500": "got 500", "404": "got 404"}[bad]
    assert words in outcome.reason
    assert outcome.rollback_proof.checks[-1].status is Status.DONE  # what it went back to is judged by itself


def test_what_did_not_serve_before_is_judged_by_what_serves_after(live: ApiServer, deploy: Deployer) -> None:
    serves = False
    with serving(lambda *_: (200 if serves else 503, {}, "")) as service:
        deploy(application("web:0"))

        class Late(ScriptedProver):
            def prove(self, objects):  # type: ignore[no-untyped-def]
                nonlocal serves
                serves = True
                return super().prove(objects)

        deploy.prover = lambda: AvailabilityProver(httpx.URL(service.url), Late(), least=3)
        assert deploy(application("web:1"), verify=True).result is Result.SUCCEEDED


def test_where_nothing_listens_it_fails(live: ApiServer, deploy: Deployer) -> None:
    assert deploy_asked(deploy, "http://127.0.0.1:1", "web:1") is Result.FAILED
    assert "were not answered (ConnectError)" in deploy.last.outcome.reason  # type: ignore[union-attr]


@pytest.mark.parametrize("text", ["", "x", "ftp://x", "https://", "http://a\x00"])
def test_an_address_that_is_none_is_a_mistake(text: str) -> None:
    with pytest.raises(UsageError):
        parse_address(text)


def test_wrong_words_of_the_command_are_told_before_anything(
    kubeconfig: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "kustomization.yaml").write_text("resources: []\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert main(["deploy", ".", "--available", "https://x"]) == 2
    assert "--available needs --verify" in capsys.readouterr().err
    assert main(["deploy", ".", "--verify", "--available", "nowhere"]) == 2
    assert main(["deploy", ".", "--build-metadata", "nowhere.json"]) == 2


def test_what_buildx_pushed_is_deployed_by_digest(tmp_path: Path, make_metadata: Callable[..., Path]) -> None:
    one = {"containerimage.digest": DIGEST, "image.name": "ghcr.io/shop/web:1.2,ghcr.io/shop/web:latest"}
    assert images_of_metadata(make_metadata(one)) == (f"ghcr.io/shop/web=ghcr.io/shop/web@{DIGEST}",)
    bake = {"backend": one, "frontend": one | {"image.name": "localhost:5000/front"}, "buildx.build.warnings": []}
    assert len(images_of_metadata(make_metadata(bake))) == 2
    for wrong in ({}, [], {"backend": {"containerimage.digest": DIGEST}}, one | {"containerimage.digest": "sha256:1"}):
        with pytest.raises(UsageError):
            images_of_metadata(make_metadata(wrong))


@pytest.fixture
def make_metadata(tmp_path: Path) -> Callable[[object], Path]:
    def make(data: object) -> Path:
        file = tmp_path / "build.json"
        file.write_text(json.dumps(data))
        return file

    return make
