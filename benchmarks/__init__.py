"""Measurements of the program: printed, never asserted. `python -m benchmarks` runs them all on a real engine."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "loadtests"))  # docsearch's documents and queries
