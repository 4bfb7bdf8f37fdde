"""`devenv load report DIR`: the reports of a load test, made again from its recording."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path

from devenv.errors import EXIT_OK
from devenv.load.ending import PAGE, write_reports
from devenv.load.reports.text import terminal


def run(arguments: Namespace) -> int:
    """Write the reports and print the text; raises DevenvError where there is no recording."""
    folder = Path(arguments.folder)
    report = write_reports(folder)
    if arguments.json:
        text = json.dumps(report.to_data(), indent=2, ensure_ascii=False)
    else:
        text = f"{terminal(report)}\n\nreport: {folder / PAGE}"
    sys.stdout.write(f"{text}\n")
    return EXIT_OK
