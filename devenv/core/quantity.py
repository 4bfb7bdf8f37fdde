"""Kubernetes quantities as numbers. https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/"""

from __future__ import annotations

import re
from typing import Final

_QUANTITY: Final = re.compile(r"([+-]?[0-9]*\.?[0-9]+\.?(?:[eE][+-]?[0-9]+)?)(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E)?")
_UNITS: Final[dict[str | None, float]] = {
    **dict(zip(("n", "u", "m", None, "k", "M", "G", "T", "P", "E"), (10.0**p for p in range(-9, 21, 3)), strict=True)),
    **{unit: 1024.0**power for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)},
}


def quantity(value: object) -> float | None:
    """Return a Kubernetes quantity ("250m", "1Gi", 2) in its base unit; None where it is none."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    try:
        return float(match[1]) * _UNITS[match[2]] if match else None
    except (ValueError, OverflowError):
        return None
