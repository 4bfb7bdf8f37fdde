"""The colours: dark, light, safe for colour-blind eyes, and nothing but the terminal's own sixteen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from textual.theme import Theme

from devenv.core.settings import ThemeChoice as ThemeChoice

NAMES: Final[Mapping[str, str]] = {
    "dark": "devenv-dark",
    "light": "devenv-light",
    "ansi": "ansi-dark",
    "colorblind": "devenv-colorblind",
}

# Variables of our own with the value that a theme without them gets; bright black is the usual dim of a terminal.
DEFAULTS: Final[Mapping[str, str]] = {"quiet": "ansi_bright_black", "bar": "ansi_default", "row": "ansi_bright_black"}


def _scroll_bars(ground: str, handle: str) -> dict[str, str]:
    grounds = ("scrollbar-background", "scrollbar-background-hover", "scrollbar-background-active")
    handles = ("scrollbar", "scrollbar-hover", "scrollbar-active")
    return dict.fromkeys((*grounds, "scrollbar-corner-color"), ground) | dict.fromkeys(handles, handle)


# All texts reach a contrast of 4.5:1 on background and bar (WCAG 2.2, 1.4.3).
DARK: Final = Theme(
    name="devenv-dark",
    dark=True,
    background="#0f131a",
    surface="#0f131a",
    panel="#1a212c",
    foreground="#d5dae3",
    primary="#6cb6ff",
    secondary="#8fa7c4",
    accent="#f0b35a",
    success="#6fcf8d",
    warning="#e9b44c",
    error="#ff7a7f",
    variables={"quiet": "#8691a3", "bar": "#1a212c", "row": "#24344d", **_scroll_bars("#1a212c", "#3a4657")},
)
LIGHT: Final = Theme(
    name="devenv-light",
    dark=False,
    background="#fcfcfa",
    surface="#fcfcfa",
    panel="#e9ecef",
    foreground="#22272e",
    primary="#0b5cad",
    secondary="#41566f",
    accent="#8a4b00",
    success="#14692f",
    warning="#835300",
    error="#b3161f",
    variables={"quiet": "#5a6472", "bar": "#e9ecef", "row": "#cfe0f5", **_scroll_bars("#e9ecef", "#aeb8c4")},
)
# After Okabe and Ito's palette (Color Universal Design, 2008): sky blue, yellow, and a vermillion that is light enough
# to be read here. A test looks at them with eyes that see no red, no green or no blue.
COLORBLIND: Final = Theme(
    name="devenv-colorblind",
    dark=True,
    background=DARK.background,
    surface=DARK.surface,
    panel=DARK.panel,
    foreground=DARK.foreground,
    primary="#9cc9f5",
    secondary=DARK.secondary,
    accent="#cc9ac0",
    success="#56b4e9",
    warning="#f0e442",
    error="#e86a3a",
    variables=DARK.variables,
)
OURS: Final = (DARK, LIGHT, COLORBLIND)


def choose(choice: ThemeChoice, environ: Mapping[str, str]) -> str:
    """Return the name of the theme to use; `auto` looks at what the terminal tells about itself.

    COLORFGBG ("foreground;background", set by rxvt, Konsole and others) tells a light background: 7 or 15.
    A terminal that names neither 256 colours nor true colour gets its own sixteen.
    """
    if choice != "auto":
        return NAMES[choice]
    term = environ.get("TERM", "")
    if not environ.get("COLORTERM") and not any(word in term for word in ("256", "direct", "kitty", "alacritty")):
        return NAMES["ansi"]
    background = environ.get("COLORFGBG", "").rpartition(";")[2]
    return NAMES["light"] if background in ("7", "15") else NAMES["dark"]
