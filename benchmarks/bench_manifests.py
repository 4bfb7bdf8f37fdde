"""`python -m benchmarks.bench_manifests`: `devenv manifests check` on 200 objects, in this process and as a program."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from devenv.manifests import schemas
from devenv.manifests.check import Outside, check, judge
from devenv.manifests.kustomization import read_tree
from devenv.manifests.render import render
from devenv.manifests.rendering import Rendering
from devenv.manifests.targets import Target, environment_for
from fakes.kustomize_folder import write_many

RUNS = 5


def main() -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        objects = write_many(folder, 40)
        versions = schemas.choose_versions(())
        target, outside = Target("many", folder), Outside(folder)
        tree = read_tree(folder)
        rendered = render(tree)
        environment, _ = environment_for(target, tree)

        def rules() -> object:
            rendering = Rendering(rendered.manifests, environment, "many", versions, tree)
            return judge(rendering, folder)

        def whole() -> object:
            schemas._minor.cache_clear()
            return check([target], versions, outside)

        def program() -> object:
            command = [sys.executable, "-m", "devenv", "manifests", "check", str(folder)]
            return subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

        load = os.getloadavg()[0]
        print(f"{objects} objects, Kubernetes {', '.join(versions)}; {os.cpu_count()} cores, load {load:.1f}")
        print(f"{'':<34}{'median':>9}{'best':>9}{'CPU':>9}")
        for what, call in (
            ("reading the sources", lambda: read_tree(folder)),
            ("kubectl kustomize, and its YAML", lambda: render(tree)),
            ("every rule, schemas compiled", rules),
            ("the whole check, nothing cached", whole),
            ("devenv manifests check", program),
        ):
            measure(what, call)


def measure(what: str, call: Callable[[], object]) -> None:
    times, cpu = [], []
    for _ in range(RUNS):
        before, start = sum(os.times()[:4]), time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
        cpu.append(sum(os.times()[:4]) - before)
    print(f"{what:<34}{statistics.median(times):>7.3f} s{min(times):>7.3f} s{statistics.median(cpu):>7.2f} s")


if __name__ == "__main__":
    main()
