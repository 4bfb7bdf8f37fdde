"""The keys of a log: what each is called, and by which name users choose another for it."""

from __future__ import annotations

from typing import Final

from textual.binding import Binding, BindingType

KEYS: Final[list[BindingType]] = [
    Binding(
        "f", "ask_filter", "filter", id="logs.filter", tooltip="regex, !not, level>=warn, field=value, field~regex"
    ),
    Binding("backspace", "drop_filter", "less filter", key_display="⌫", id="logs.unfilter"),
    Binding("n", "find(1)", "next", id="logs.next"),
    Binding("N", "find(-1)", "previous", key_display="N", id="logs.before"),
    Binding("G,end", "scroll_end", "follow", key_display="G", id="logs.follow"),
    Binding("w", "wrap", "wrap", id="logs.wrap"),
    Binding("t", "times", "times", id="logs.times", tooltip="clock, age, off"),
    Binding("J", "readable", "readable", key_display="J", id="logs.readable", tooltip="JSON and logfmt for people"),
    *(
        Binding(f"{key}", f"since({key})", label, show=False, id=f"logs.since{key}")
        for key, label in enumerate(("all", "1m", "5m", "15m", "1h", "4h", "start"))
    ),
    Binding("F", "fold", "fold", key_display="F", id="logs.fold", tooltip="traces; repeated lines, too; nothing"),
    Binding("enter", "unfold", "unfold", key_display="⏎", show=False, id="logs.unfold"),
    Binding("H", "histogram", "histogram", key_display="H", id="logs.histogram", tooltip="lines and errors over time"),
    Binding("e", "error(-1)", "error before", id="logs.error_before", tooltip="while the histogram is shown"),
    Binding("E", "error(1)", "next error", key_display="E", show=False, id="logs.error_next"),
    Binding("p", "run_before", "run before", id="logs.previous", tooltip="to the last lines before a restart"),
    Binding("m", "mark", "mark", show=False, id="logs.mark", tooltip="a line that says when"),
    Binding(
        "c",
        "copy",
        "copy",
        show=False,
        id="logs.copy",
        tooltip="selected by mouse, the line found, the screen",
    ),
    Binding("x", "clear", "clear", show=False, id="logs.clear"),
    Binding("o", "pager", "pager", show=False, id="logs.pager", tooltip="what is filtered, in $PAGER"),
    Binding("ctrl+s", "save", "save", show=False, key_display="^s", id="logs.save", tooltip="what is filtered"),
    Binding("g,home", "scroll_home", "oldest", show=False, id="logs.oldest"),
    Binding("j", "scroll_down", "down", show=False, id="logs.down"),
    Binding("k", "scroll_up", "up", show=False, id="logs.up"),
    Binding("space", "page_down", "page down", show=False, id="logs.page"),
    Binding("b", "page_up", "page up", show=False, id="logs.back"),
]
