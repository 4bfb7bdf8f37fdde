"""What `devenv manifests` says of the manifests, and that the page it generates is the present one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from k8s_rendering import K8S, OVERLAYS


def devenv(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "devenv", "manifests", *arguments]
    return subprocess.run(command, cwd=K8S.parent, capture_output=True, text=True, timeout=120, check=False)


def test_every_folder_is_clean() -> None:
    folders = ["k8s/rbac", "k8s/variants/dev-postgres", *(f"k8s/overlays/{name}" for name in OVERLAYS)]
    done = devenv("check", "--no-compose", "--json", *folders)
    assert done.returncode == 0, done.stdout + done.stderr
    seen = {target["target"]: target["findings"] for target in json.loads(done.stdout)["targets"]}
    assert seen == {Path(folder).name: [] for folder in folders}


def test_overlays_page_is_up_to_date() -> None:
    done = devenv("diff", "--all")
    assert done.returncode == 0, done.stderr
    page = (K8S.parent / "docs/OVERLAYS.md").read_text()
    assert page == done.stdout, "run: devenv manifests diff --all > docs/OVERLAYS.md"
