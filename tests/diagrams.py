"""Draws the Mermaid diagrams of the pages as docs/diagrams/NAME.svg: python -m tests.diagrams [NAME...].

A diagram has its name in a comment above its block. Each file carries a hash of what it was drawn from, and a test
compares that with the page. Needs npm and Chromium (scripts/browser); `make pictures` calls it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs/diagrams"
BLOCK = re.compile(r"<!-- diagram: ([\w-]+) -->\n```mermaid\n(.*?)^```", re.MULTILINE | re.DOTALL)
RENDERER = (
    *("npx", "--yes", "--package=@mermaid-js/mermaid-cli@11.17.0", "--package=mermaid@11.17.2"),
    *("--package=puppeteer@24.43.1", "mmdc"),
)
# Text of SVG instead of HTML, which not every viewer of pictures shows.
LOOK = {"theme": "neutral", "htmlLabels": False, "deterministicIds": True, "fontFamily": "system-ui, sans-serif"}


def diagrams() -> dict[str, str]:
    """Return the Mermaid text of each diagram in the pages by its name."""
    pages = sorted((*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")))
    return {name: text for page in pages for name, text in BLOCK.findall(page.read_text("utf-8"))}


def mark(text: str) -> str:
    """Return what a picture ends with that was drawn from this text."""
    return f"<!-- drawn from sha256 {hashlib.sha256(text.encode()).hexdigest()} -->\n"


def draw(text: str, target: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="devenv-diagrams-") as name:
        folder = Path(name)
        (folder / "look.json").write_text(json.dumps(LOOK), "utf-8")
        browser = {"executablePath": shutil.which("chromium"), "args": ["--no-sandbox"]}
        (folder / "browser.json").write_text(json.dumps(browser), "utf-8")
        (folder / "in.mmd").write_text(text, "utf-8")
        options = ("-c", "look.json", "-p", "browser.json", "-b", "white")  # white: readable on a dark page too
        environ = os.environ | {"PUPPETEER_SKIP_DOWNLOAD": "1"}
        subprocess.run(
            [*RENDERER, "-q", "-i", "in.mmd", "-o", "out.svg", *options], cwd=folder, env=environ, check=True
        )
        target.write_text((folder / "out.svg").read_text("utf-8").rstrip() + "\n" + mark(text), "utf-8")


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    known = diagrams()
    for name in sys.argv[1:] or known:
        draw(known[name], FOLDER / f"{name}.svg")


if __name__ == "__main__":
    main()
