"""The colours can be read, and told apart by eyes that see no red, no green or no blue."""

from __future__ import annotations

from itertools import combinations

import pytest
from textual.color import Color
from textual.theme import Theme

from devenv.core.settings import TerminalSettings
from devenv.tui.app import DevenvApp
from devenv.tui.theme import COLORBLIND, DARK, OURS
from tests.terminal.conftest import Opening
from tests.terminal.scripted import ScriptedBackend, ScriptedControl, container

# Machado, Oliveira, Fernandes: A Physiologically-based Model for Simulation of Color Vision Deficiency (2009), table of
# severity 1.0, for linear RGB.
EYES = {
    "no red": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "no green": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.01182, 0.04294, 0.968881)),
    "no blue": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.3039)),
}
RGB = tuple[float, float, float]


def linear(color: str) -> RGB:
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in Color.parse(color).normalized
    )
    return red, green, blue


def seen_by(color: str, eyes: str) -> RGB:
    red, green, blue = (
        min(1.0, max(0.0, sum(weight * part for weight, part in zip(row, linear(color), strict=True))))
        for row in EYES[eyes]
    )
    return red, green, blue


def luminance(color: RGB) -> float:
    return 0.2126 * color[0] + 0.7152 * color[1] + 0.0722 * color[2]


def contrast(first: str, second: str) -> float:
    """As WCAG 2.2 counts it."""
    low, high = sorted((luminance(linear(first)), luminance(linear(second))))
    return (high + 0.05) / (low + 0.05)


def difference(first: RGB, second: RGB) -> float:
    """CIE 1976: 2.3 is just noticeable."""

    def lab(color: RGB) -> tuple[float, float, float]:
        red, green, blue = color
        x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.95047
        y = luminance(color)
        z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.08883
        x, y, z = (part ** (1 / 3) if part > 0.008856 else 7.787 * part + 16 / 116 for part in (x, y, z))
        return 116 * y - 16, 500 * (x - y), 200 * (y - z)

    return sum((one - other) ** 2 for one, other in zip(lab(first), lab(second), strict=True)) ** 0.5


@pytest.mark.parametrize("theme", OURS, ids=lambda theme: theme.name)
def test_every_text_can_be_read_on_what_is_behind_it(theme: Theme) -> None:
    texts = [theme.foreground, theme.primary, theme.secondary, theme.accent, theme.success, theme.warning, theme.error]
    for text in (*texts, theme.variables["quiet"]):
        for behind in (theme.background, theme.variables["bar"]):
            assert contrast(str(text), str(behind)) >= 4.5, (text, behind)


def least_difference(theme: Theme, eyes: str) -> float:
    tones = [str(theme.success), str(theme.warning), str(theme.error)]
    return min(difference(seen_by(one, eyes), seen_by(other, eyes)) for one, other in combinations(tones, 2))


@pytest.mark.parametrize("eyes", EYES)
def test_good_warning_and_bad_differ_for_all_eyes(eyes: str) -> None:
    assert least_difference(COLORBLIND, eyes) > 30


def test_the_usual_theme_is_not_enough_for_eyes_without_green() -> None:
    assert least_difference(DARK, "no green") < 20, "the palette for these eyes is of no use any more"


async def test_devenv_toml_and_the_palette_choose_the_theme(opened: Opening) -> None:
    chosen = DevenvApp(ScriptedBackend(), ScriptedControl(), settings=TerminalSettings(theme="colorblind"))
    assert chosen.theme == COLORBLIND.name
    async with opened() as terminal:
        await terminal.live(container("web"))
        assert terminal.app.theme == DARK.name
        await terminal.press("ctrl+p")
        await terminal.sees("restart web")
        await terminal.press(*"colorblind", "enter")
        await terminal.until(lambda: terminal.app.theme == COLORBLIND.name)
