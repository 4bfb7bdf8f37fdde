"""docs/KUBERNETES.md names every key of the cluster's screen and nothing that is not a key there."""

from __future__ import annotations

import re
from pathlib import Path

from devenv.tui.action_table import ACTIONS, BY_NAME, OF_CLUSTER, help_groups

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| `([^`]+)` \| ([^|]*) \|", re.MULTILINE)


def section(title: str) -> str:
    text = (ROOT / "docs/KUBERNETES.md").read_text("utf-8")
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_the_table_of_keys_is_that_of_the_screen() -> None:
    keys = dict(help_groups(BY_NAME, in_cluster=True))[OF_CLUSTER]
    bound = {binding.key_display or binding.key for binding in keys}
    rows = dict(ROW.findall(section("Keys, and the same by kubectl")))
    assert set(rows) == bound
    assert all("asks" in rows[action.written or action.key] for action in ACTIONS if action.takes_away and action.kinds)


def test_every_link_in_the_page_leads_somewhere() -> None:
    text = (ROOT / "docs/KUBERNETES.md").read_text("utf-8")
    titles = {
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^##+ (.+)$", text, re.MULTILINE)
    }
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in titles, target
        elif not target.startswith("http"):
            assert (ROOT / "docs" / target.partition("#")[0]).exists(), target
