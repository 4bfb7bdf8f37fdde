"""What `devenv manifests` says of the manifests."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from k8s_rendering import K8S, OVERLAYS


def test_every_folder_is_clean() -> None:
    folders = ["k8s/rbac", "k8s/variants/dev-postgres", *(f"k8s/overlays/{name}" for name in OVERLAYS)]
    command = [sys.executable, "-m", "devenv", "manifests", "check", "--no-compose", "--json", *folders]
    done = subprocess.run(command, cwd=K8S.parent, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    seen = {target["target"]: target["findings"] for target in json.loads(done.stdout)["targets"]}
    assert seen == {Path(folder).name: [] for folder in folders}
