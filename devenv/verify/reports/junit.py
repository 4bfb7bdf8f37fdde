"""One test case for each test in pytest's JUnit report, also where a test failed and its clean-up broke too.

pytest writes a second test case of the same name then, and readers of the file count a test more than there is.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Final

from devenv.core.errors import DevenvError

_BAD: Final = ("failure", "error")


def join_cases(path: Path) -> None:
    """Join test cases of one name in the report; nothing is written where there are none.

    The first one's verdict stays, what the others say is added to it. Raises DevenvError where it cannot be read.
    """
    if not path.is_file():
        return
    try:
        tree = ET.parse(path)
        changed = [_join(suite) for suite in tree.iter("testsuite")]
        if any(changed):
            tree.write(path, encoding="utf-8", xml_declaration=True)
    except (OSError, ET.ParseError) as error:
        raise DevenvError(f"{path} cannot be completed: {error}", "Is another run writing it?") from error


def _join(suite: ET.Element) -> bool:
    first: dict[tuple[str | None, str | None], ET.Element] = {}
    changed = False
    for case in list(suite.iter("testcase")):
        key = (case.get("classname"), case.get("name"))
        if key not in first:
            first[key] = case
            continue
        _add(first[key], case)
        suite.remove(case)
        changed = True
    if changed:
        cases = suite.findall("testcase")
        suite.set("tests", str(len(cases)))
        for tag, counter in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
            suite.set(counter, str(sum(case.find(tag) is not None for case in cases)))
    return changed


def _add(case: ET.Element, other: ET.Element) -> None:
    verdict = next((found for tag in _BAD if (found := case.find(tag)) is not None), None)
    for found in list(other):
        if found.tag in _BAD and verdict is not None:
            verdict.text = f"{verdict.text or ''}\n\n{found.get('message', '')}\n{found.text or ''}"
        elif found.tag in _BAD:
            verdict = found
            case.insert(0, found)
        elif case.find(found.tag) is None:
            case.append(found)
    case.set("time", f"{float(case.get('time') or 0) + float(other.get('time') or 0):.3f}")
