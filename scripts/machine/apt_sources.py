"""The machine's apt sources, in both formats, and the source for Debian testing that is derived from them.

Nothing here runs a program or names a host: mirrors, keys and components are those that the machine already has.
Formats: sources.list(5), deb822(5).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

# One-line options whose names differ from the deb822 fields of the same meaning (sources.list(5), OPTIONS).
_FIELD_OF_OPTION = {"arch": "Architectures", "lang": "Languages", "target": "Targets"}
# Fields of a stanza that belong to its own suites and must not follow it to another suite.
_OWN_FIELDS = {"types", "uris", "suites", "components", "enabled", "snapshot", "inrelease-path", "x-repolib-name"}
_ONE_LINE = re.compile(
    r"^deb\s+(?:\[(?P<options>[^]]*)]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)(?P<components>(?:\s+[^\s#]+)*)"
)


@dataclass(frozen=True, slots=True)
class Source:
    """One entry for binary packages; `options` are deb822 fields, a Signed-By key block included, word for word."""

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    options: dict[str, str] = field(default_factory=dict)

    def stanza(self) -> str:
        """Return the entry as a deb822 stanza."""
        fields = {
            "Types": "deb",
            "URIs": " ".join(self.uris),
            "Suites": " ".join(self.suites),
            "Components": " ".join(self.components),
            **self.options,
        }
        return "".join(f"{name}: {value}\n" for name, value in fields.items() if value)

    def for_suite(self, suite: str) -> Source:
        """Return the same archive with the same keys, for another suite."""
        return Source(self.uris, (suite,), self.components, dict(self.options))


def read_sources(folder: Path) -> list[Source]:
    """Return the enabled entries of an apt folder: sources.list, then sources.list.d in apt's order."""
    parts = folder / "sources.list.d"
    files = [folder / "sources.list", *(sorted(parts.iterdir()) if parts.is_dir() else [])]
    found: list[Source] = []
    for file in files:
        if not file.is_file() or file.suffix not in (".list", ".sources"):
            continue
        text = file.read_text(encoding="utf-8", errors="replace")
        found.extend(_stanzas(text) if file.suffix == ".sources" else _one_lines(text))
    return found


def _one_lines(text: str) -> Iterator[Source]:
    for line in text.splitlines():
        found = _ONE_LINE.match(line.strip())
        if found is None:
            continue
        options = {}
        for option in (found["options"] or "").split():
            name, _, value = option.rstrip("+-").partition("=")
            options[_FIELD_OF_OPTION.get(name, name.title())] = value.replace(",", " ")
        kept = {name: value for name, value in options.items() if name.lower() not in _OWN_FIELDS}
        yield Source((found["uri"],), (found["suite"],), tuple(found["components"].split()), kept)


def _stanzas(text: str) -> Iterator[Source]:
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    for block in re.split(r"\n\s*\n", "\n".join(lines)):
        fields = dict(_fields(block.splitlines()))
        own = {name.lower(): value for name, value in fields.items()}
        if "deb" not in own.get("types", "").split() or own.get("enabled", "yes").lower() in (
            "no",
            "false",
            "0",
            "off",
        ):
            continue
        yield Source(
            tuple(own.get("uris", "").split()),
            tuple(own.get("suites", "").split()),
            tuple(own.get("components", "").split()),
            {name: value for name, value in fields.items() if name.lower() not in _OWN_FIELDS},
        )


def _fields(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    name, value = "", ""
    for line in lines:
        if line[:1].isspace():
            value += f"\n{line}"  # a folded field, such as a key block, keeps its lines
            continue
        if name:
            yield name, value
        name, _, value = line.partition(":")
        name, value = name.strip(), value.strip()
    if name:
        yield name, value
