"""What `devenv manifests` says of the manifests."""

from __future__ import annotations

import json
from pathlib import Path

from k8s_rendering import K8S, OVERLAYS

from tests import forked


def test_every_folder_is_clean() -> None:
    folders = ["k8s/rbac", "k8s/variants/dev-postgres", *(f"k8s/overlays/{name}" for name in OVERLAYS)]
    done = forked.run("devenv", "manifests", "check", "--no-compose", "--json", *folders, cwd=K8S.parent)
    assert done.returncode == 0, done.stdout + done.stderr
    seen = {target["target"]: target["findings"] for target in json.loads(done.stdout)["targets"]}
    assert seen == {Path(folder).name: [] for folder in folders}
