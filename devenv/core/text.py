"""Outside text made safe, and numbers written for people.

Names, labels, logs and health-check output come from programs that devenv does not control. A terminal obeys what it
is sent, so every such text passes `sanitize` once, where it enters (ECMA-48 names the sequences).
"""

from __future__ import annotations

import re
from typing import Final

_STRING_END: Final = r"(?:\x07|\x1b\\|\x9c)"
# A string's body stops at any other introducer, so that a text full of unterminated ones still costs linear time.
_STRING_BODY: Final = r"[^\0\x07\x1b\x90\x98\x9b-\x9f]*"
_ESCAPES: Final = re.compile(
    rf"(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f]){_STRING_BODY}{_STRING_END}"  # OSC, DCS, SOS, PM, APC with their payload
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI
    r"|\x1b[ -/]*[0-~]"  # two-character sequences
)
_TAB: Final = "    "


def _table(newline: str) -> dict[int, str | None]:
    table: dict[int, str | None] = dict.fromkeys([*range(0x20), 0x7F, *range(0x80, 0xA0)])
    table |= {0x0A: newline, 0x09: _TAB, 0x0D: "␍", 0x2028: newline, 0x2029: newline}
    # Embeddings, overrides and isolates reorder what follows them (CVE-2021-42574); U+FEFF is invisible.
    table |= dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF])
    table |= dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
    return table


_ONE_LINE: Final = _table("␊")
_LINES: Final = _table("\n")
_KEEPS_MARKS: Final = {code: to for code, to in _ONE_LINE.items() if code}


def sanitize(text: str | bytes, *, newlines: bool = False) -> str:
    """Return the text without anything a terminal would act on; line ends stay only with `newlines`.

    Escape sequences go with their payload, other control characters and bidirectional overrides go, invalid UTF-8 and
    lone surrogates become U+FFFD, a tab becomes four spaces, a carriage return inside a line becomes U+240D: what a
    program tried to overwrite stays visible.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    if text.isprintable():
        return text
    text = text.replace("\0", "")  # as a terminal, which passes over it in the middle of a sequence as well
    if "\r" in text:
        text = text.replace("\r\n", "\n").rstrip("\r")
    if not text.isascii() or "\x1b" in text:
        text = _ESCAPES.sub("", text)
    return text.translate(_LINES if newlines else _ONE_LINE)


_SGR: Final = re.compile(r"(?:\x1b\[|\x9b)([0-9;]{0,60})m")
# What colours and stresses (ECMA-48, 8.3.117): what hides text or blinks is left out, and ends nothing.
_SGR_USED: Final = frozenset({1, 2, 3, 4, 7, 9, *range(21, 26), 27, 29, *range(30, 50), *range(90, 108)})
Styles = tuple[tuple[int, int, str], ...]  # where each begins and ends in the text, and its SGR parameters: "1;31"


def sanitize_styled(text: str | bytes) -> tuple[str, Styles]:
    """Return what `sanitize` returns, and the colours that the text had: harmless numbers, for whoever draws it."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    if "\x1b[" not in text and "\x9b" not in text:
        return sanitize(text), ()
    # The mark is a character that no text keeps, so that all else goes as it goes without colours.
    text = text.replace("\0", "")
    codes = _SGR.findall(text)
    marked = _SGR.sub("\0", text)
    if "\r" in marked:
        marked = marked.replace("\r\n", "\n").rstrip("\r")
    parts = _ESCAPES.sub("", marked).translate(_KEEPS_MARKS).split("\0")
    styles: list[tuple[int, int, str]] = []
    end, active = len(parts[0]), ""
    for part, code in zip(parts[1:], codes, strict=False):
        active = _sgr(active, code)
        if active and part:
            styles.append((end, end + len(part), active))
        end += len(part)
    return "".join(parts), tuple(styles)


def _sgr(active: str, code: str) -> str:
    """Return the parameters that hold after a sequence; what is set first is forgotten where there are too many."""
    numbers = [int(number or 0) for number in code.split(";")]
    used: list[str] = active.split(";") if active else []
    while numbers:
        number = numbers.pop(0)
        if number == 0:
            used = []
        elif number in (38, 48):
            count = {5: 2, 2: 4}.get(numbers[0] if numbers else -1, 0)
            if count and len(numbers) >= count and max(numbers[:count]) < 256:
                used += map(str, (number, *numbers[:count]))
            del numbers[:count]
        elif number in _SGR_USED:
            used.append(str(number))
    return ";".join(used) if len(used) <= 32 else ""


def counted(count: int, singular: str, plural: str = "") -> str:
    """Return "1 pod", "2 pods"."""
    return f"{count} {singular if count == 1 else plural or f'{singular}s'}"


def human_bytes(count: float) -> str:
    """Write a size with a binary unit and at most three digits: 734 B, 1.5 KiB, 88 MiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 10 else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def human_age(seconds: float) -> str:
    """Write an age coarsely, in at most four characters: 5s, 3m, 2h, 4d, 3y. Negative ages (clocks differ) are 0s."""
    seconds = max(0.0, seconds)
    for limit, size, unit in ((60, 1, "s"), (3600, 60, "m"), (86400, 3600, "h")):
        if seconds < limit:
            return f"{int(seconds // size)}{unit}"
    days = int(seconds // 86400)
    return f"{days}d" if days < 1000 else f"{days // 365}y"


def human_restarts(count: int | None, since: float | None) -> str:
    """Write a count of restarts as kubectl does, with the seconds since the newest where known: 3 (5m ago)."""
    if count is None:
        return ""
    return f"{count} ({human_age(since)} ago)" if count and since is not None else str(count)


def human_duration(seconds: float) -> str:
    """Write a measured duration: 0.26 s, 4.2 s, 75 s, 3 min 20 s."""
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


_QUANTITY: Final = re.compile(r"([+-]?[0-9]*\.?[0-9]+\.?(?:[eE][+-]?[0-9]+)?)(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E)?")
_UNITS: Final[dict[str | None, float]] = {
    **dict(zip(("n", "u", "m", None, "k", "M", "G", "T", "P", "E"), (10.0**p for p in range(-9, 21, 3)), strict=True)),
    **{unit: 1024.0**power for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)},
}


def quantity(value: object) -> float | None:
    """Return a Kubernetes quantity ("250m", "1Gi", 2) in its base unit; None where it is none.

    https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    try:
        return float(match[1]) * _UNITS[match[2]] if match else None
    except (ValueError, OverflowError):
        return None


# An object of the Kubernetes API is some twenty levels deep. libyaml's composer recurses in C: at a hundred thousand
# levels, which need as many characters, it ends the interpreter. Both limits keep far away from that.
MOST_YAML: Final = 10_000_000  # characters
_MOST_LEVELS: Final = 1000


def nested_too_deeply(text: str) -> bool:
    """Whether YAML may be nested too deeply to be parsed: bounded from above, so brackets in strings count as well."""
    depth = 0
    for bracket in re.findall(r"[\[\]{}]", text):
        depth = depth + 1 if bracket in "[{" else max(0, depth - 1)
        if depth > _MOST_LEVELS:
            return True
    return re.search(rf"(?:[-?:] +){{{_MOST_LEVELS}}}", text) is not None
