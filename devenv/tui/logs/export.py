"""Text that leaves the terminal: into a file, the pager, or the clipboard of the desktop."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from typing import Final

from textual.app import App, SuspendNotSupported


def save(name: str, lines: Iterable[str]) -> tuple[bool, str]:
    """Write lines into a file of that name in the state folder; return whether that went well, and what to say."""
    from platformdirs import user_state_path  # with the first log that is saved

    name = re.sub(r"[^\w.-]+", "-", name).strip("-") or "log"
    file = user_state_path("devenv", appauthor=False) / "logs" / f"{name}-{datetime.now():%Y%m%d-%H%M%S}.log"
    count = 0
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with file.open("w", encoding="utf-8", errors="backslashreplace") as out:
            for count, line in enumerate(lines, 1):  # noqa: B007 - how many there were
                out.write(f"{line}\n")
    except OSError as error:
        with suppress(OSError):
            file.unlink(missing_ok=True)  # a part would pass for the whole
        return False, f"not saved: {error.strerror}: {file}"
    return True, f"{count:,} lines are in {file}"


CLIPBOARDS: Final = (  # what has to be set in the environment, and the program that then takes the text
    ("WAYLAND_DISPLAY", ("wl-copy",)),
    ("DISPLAY", ("xclip", "-selection", "clipboard")),
    ("DISPLAY", ("xsel", "--clipboard", "--input")),
    ("", ("pbcopy",)),
)


def to_clipboard(text: str) -> bool:
    """Hand a text to the desktop's clipboard; False where there is none: a terminal that knows OSC 52 has it then."""
    for needed, command in CLIPBOARDS:
        if (needed and not os.environ.get(needed)) or shutil.which(command[0]) is None:
            continue
        # It stays to serve the clipboard: an output that it inherited would keep the terminal from ending.
        nowhere, data = subprocess.DEVNULL, text.encode("utf-8", "backslashreplace")
        with suppress(OSError, subprocess.SubprocessError):
            subprocess.run(command, input=data, timeout=5, check=True, stdout=nowhere, stderr=nowhere)
            return True
    return False


def page(app: App[int], lines: Iterable[str]) -> str:
    """Show lines in $PAGER, which takes the terminal until it is left; return what went wrong."""
    command = shlex.split(os.environ.get("PAGER") or "less -R")
    text = "".join(f"{line}\n" for line in lines)
    wrong = ""
    try:
        with app.suspend():
            subprocess.run(command, input=text, text=True, errors="backslashreplace", check=False)
    except (OSError, SuspendNotSupported) as error:
        wrong = f"{command[0]}: {error}"
    app.refresh()
    return wrong
