"""A bare Textual table of as many rows as there are services, to compare with: what no program on Textual can beat.

`python -m benchmarks.bare ROWS`
"""

from __future__ import annotations

import sys

from textual.app import App, ComposeResult
from textual.widgets import DataTable


class Bare(App[None]):
    """Shows the table, and nothing else."""

    def compose(self) -> ComposeResult:
        yield DataTable(cursor_type="row")

    def on_mount(self) -> None:
        table = self.query_one(DataTable)
        table.add_columns("service", "state", "health")
        for number in range(1, int(sys.argv[1]) + 1):
            table.add_row(f"worker{number:03}", "running", "healthy")


if __name__ == "__main__":
    Bare().run()
