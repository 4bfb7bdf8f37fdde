"""Typed reading of a table of devenv.toml that knows where it is, and complains about what nobody asked for."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path

from devenv.core.errors import UsageError


class Table:
    """One table of devenv.toml. Every reading method raises UsageError for a value of the wrong type."""

    def __init__(self, values: Mapping[str, object], file: Path, prefix: str = "") -> None:
        self._values = values
        self._file = file
        self._prefix = prefix
        self._known: set[str] = set()

    def table(self, key: str) -> Table:
        """Read a table under the key; an absent one is empty."""
        value = self._take(key, {})
        if not isinstance(value, dict):
            raise self._wrong(key, "a table", value)
        return Table(value, self._file, f"{self._prefix}{key}.")

    def tables(self, key: str) -> dict[str, Table]:
        """Read a table whose keys are the user's own names and whose values are tables."""
        table = self.table(key)
        return {name: table.table(name) for name in table._values}

    def list_of_tables(self, key: str) -> list[Table]:
        """Read a list of tables."""
        value = self._take(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self._wrong(key, "a list of tables", value)
        return [Table(item, self._file, f"{self._prefix}{key}[{index}].") for index, item in enumerate(value)]

    def named_texts(self, key: str) -> dict[str, str]:
        """Read a table whose keys are the user's own names and whose values are strings."""
        table = self.table(key)
        return {name: table.text(name) for name in table._values}

    def boolean(self, key: str, default: bool) -> bool:
        """Read true or false."""
        value = self._take(key, default)
        if not isinstance(value, bool):
            raise self._wrong(key, "true or false", value)
        return value

    def seconds(self, key: str, default: float) -> float:
        """Read a number that is 0 or more, a whole or a broken one."""
        value = self._take(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise self._wrong(key, "a number of seconds, 0 or more", value)
        return float(value)

    def optional_seconds(self, key: str) -> float | None:
        """Read such a number, None where the key is absent."""
        self._known.add(key)
        return self.seconds(key, 0.0) if key in self._values else None

    def has(self, key: str) -> bool:
        """Whether the file has the key; it is one that may be there."""
        self._known.add(key)
        return key in self._values

    def named_seconds(self, key: str) -> dict[str, float]:
        """Read a table whose keys are the user's own names and whose values are numbers, 0 or more."""
        table = self.table(key)
        return {name: table.seconds(name, 0.0) for name in table._values}

    def whole(self, key: str, default: int) -> int:
        """Read a whole number that is 0 or more."""
        value = self._take(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self._wrong(key, "a whole number, 0 or more", value)
        return value

    def required_text(self, key: str, contains: str = "") -> str:
        """Read a string that has to be there and, with `contains`, to have that in it."""
        text = self.text(key)
        if not text or contains not in text:
            wanted = f"a string with {contains} in it" if contains else "a string that is not empty"
            raise self._wrong(key, wanted, self._values.get(key, "absent"))
        return text

    def text(self, key: str) -> str:
        """Read a string; an absent one is empty."""
        value = self._take(key, "")
        if not isinstance(value, str):
            raise self._wrong(key, "a string", value)
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Read a list of strings."""
        value = self._take(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._wrong(key, "a list of strings", value)
        return tuple(value)

    def paths(self, key: str) -> tuple[Path, ...]:
        """Read a list of paths; they are relative to the file's folder."""
        return tuple(self._file.parent / item for item in self.texts(key))

    def finish(self) -> None:
        """Refuse keys that were not asked for: a typo must not pass as a setting."""
        for key in self._values:
            if key not in self._known:
                near = difflib.get_close_matches(key, self._known, 1)
                hint = f"Did you mean {near[0]!r}?" if near else f"Known here: {', '.join(sorted(self._known))}."
                raise UsageError(f"{self._file}: unknown key {self._prefix}{key}", hint)

    def _take(self, key: str, default: object) -> object:
        self._known.add(key)
        return self._values.get(key, default)

    def _wrong(self, key: str, wanted: str, value: object) -> UsageError:
        return UsageError(f"{self._file}: {self._prefix}{key} must be {wanted}, not {value!r}")
