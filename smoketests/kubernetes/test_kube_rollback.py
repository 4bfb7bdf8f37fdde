"""An update that cannot work is noticed early, undone, and nobody loses anything: through `devenv deploy` itself."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from devenv.verify.http import new_nonce
from devenv.verify.kube.environment import written
from devenv.verify.kube.load import Call, constant_load

pytestmark = [pytest.mark.behaviour("rollback"), pytest.mark.targets("kubernetes")]

ROLLED_BACK = 14  # the exit code of `devenv deploy` (docs/DEPLOY.md)
WORDS = 3
WITHIN = 240.0


@pytest.fixture
def deploy(isolated_stack, tmp_path):
    """Deploy the copy's own objects, with other images, as a user does."""
    folder = written(isolated_stack.objects, tmp_path / "overlay")

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        source = isolated_stack.plan.source
        command = [
            *(sys.executable, "-m", "devenv", "deploy", str(folder), "--no-build", "--json"),
            *("--context", source.target.context.name, "--namespace", isolated_stack.name, *options),
        ]
        return subprocess.run(
            command, cwd=source.root, capture_output=True, text=True, timeout=WITHIN, check=False, env=source.environ
        )

    return run


def test_broken_image_is_rolled_back(isolated_stack, deploy, caller, measure) -> None:
    """The frontend of an image that nobody has: the verdict says rolled back, and it served all the time."""
    cluster = isolated_stack.engine
    words = [new_nonce() for _ in range(WORDS)]
    assert all(isolated_stack.persistence.write(word) for word in words)
    good = deploy("--wait")
    assert good.returncode == 0, good.stdout + good.stderr
    before = {pod.container_id for pod in cluster.pods("frontend")}
    pod = caller(isolated_stack)
    began = time.monotonic()
    with constant_load(cluster, pod, "http://frontend:3000", [Call("GET", "/")], rate=5.0) as load:
        done = deploy("--rollback-on-failure", "--image", "docsearch-frontend=docsearch-frontend:not-there")
        seconds = time.monotonic() - began
        load.more(10)
    assert done.returncode == ROLLED_BACK, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["verdict"] == "rolled back", told
    assert "ImagePull" in done.stdout, "the reason is not told"
    result = load.finish()
    assert result.failures == 0, str(result)
    assert before <= {item.container_id for item in cluster.pods("frontend")}, "what served was replaced"
    isolated_stack.wait_healthy()
    assert [word for word in words if not isolated_stack.persistence.read(word)] == []
    measure("rollback", seconds, stages={stage["name"]: stage["seconds"] for stage in told.get("stages", ())})
