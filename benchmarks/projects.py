"""Whether devenv reads a folder of Compose projects as Compose does: python -m benchmarks.projects FOLDER

For each Compose file below FOLDER, `devenv status --json` has to list the services that `docker compose config
--services` lists, and to refuse what Compose refuses. Nothing is started. Prints what differs, and ends with 1 then.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

NAMES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
LIMIT = 120.0  # seconds for one reading


def compare(folder: Path) -> tuple[str, str]:
    """Return ("same" | "refused" | "lenient" | "differs", in which way)."""
    # An env_file that is not there refuses Compose's `config`, but not its `ps`, and no reading of devenv.
    theirs = run(folder, "docker", "compose", "config", "--no-env-resolution", "--services")
    ours = run(folder, sys.executable, "-m", "devenv", "status", "--json")
    if theirs.returncode:
        return ("refused", "") if ours.returncode else ("lenient", theirs.stderr.strip())
    if not ours.stdout:
        return "differs", f"devenv refuses it: {ours.stderr.strip()}"
    listed = [service["name"] for service in json.loads(ours.stdout)["services"]]
    wanted = theirs.stdout.split()
    return ("same", "") if sorted(listed) == sorted(wanted) else ("differs", f"{listed} instead of {wanted}")


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=LIMIT, check=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare all and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    root = parser.parse_args(arguments).folder.resolve()
    folders = sorted({path.parent for name in NAMES for path in root.rglob(name)})
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(compare, folders))
    for folder, (answer, how) in zip(folders, answers, strict=True):
        if answer in ("differs", "lenient"):
            print(f"{folder.relative_to(root)}: {answer}: {how}")
    counts = Counter(answer for answer, _ in answers)
    print(f"{len(folders)} projects: " + ", ".join(f"{count} {answer}" for answer, count in counts.most_common()))
    return 1 if counts["differs"] or counts["lenient"] else 0


if __name__ == "__main__":
    sys.exit(main())
