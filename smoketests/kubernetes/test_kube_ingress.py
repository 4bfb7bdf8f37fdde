"""Through the ingress controller as users come: by path to the right service, and over TLS with our own certificate."""

from __future__ import annotations

import shutil

import httpx
import pytest

from devenv.verify.http import new_nonce
from devenv.verify.kube.ingress import CannotReach, find_way_in, make_certificate

pytestmark = [pytest.mark.behaviour("ingress"), pytest.mark.targets("kubernetes")]

WITHIN = 30.0


@pytest.fixture
def way_in(isolated_stack, verify_session, measure):
    """The controller's address, and the certificate that it shall show; inconclusive where there is no controller."""
    chosen = verify_session.config.option.devenv_ingress or ""
    if shutil.which("openssl") is None:
        measure.inconclusive("ingress", "openssl is not installed, and makes the certificate")
    certificate = make_certificate(isolated_stack)
    try:
        return find_way_in(isolated_stack, chosen, certificate, WITHIN)
    except CannotReach as error:
        measure.inconclusive("ingress", error.message)


def test_paths_lead_to_their_services(isolated_stack, way_in, measure) -> None:
    """/api to the backend itself, all else to the frontend; both over TLS that is verified against our certificate."""
    word = new_nonce()
    with way_in.client() as client:
        page = client.get("/")
        assert page.status_code == 200
        assert "<title>" in page.text
        with measure.timing("ingress"):
            found = client.get(f"/api/search?q={word}")
        assert found.status_code == 200, found.text
    backend, frontend = (isolated_stack.engine.logs(name) for name in ("backend", "frontend"))
    assert word not in frontend, "the frontend passed on what the ingress should have sent to the backend"
    assert "path=/api/search" in backend


def test_another_name_is_not_served(way_in) -> None:
    """A host that the Ingress does not name gets nothing of ours."""
    with way_in.client(host="stranger.example.test", verify=False) as client:
        assert client.get("/api/collections").status_code == 404


def test_a_certificate_that_is_not_trusted_is_refused(way_in) -> None:
    """What is shown is our own certificate: a client that trusts only the public authorities says so."""
    with way_in.client(verify=True) as client, pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        client.get("/")
