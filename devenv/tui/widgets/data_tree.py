"""Nested data as a tree that folds: what is below a line is made when it is opened, and searched before it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.widgets import Input, Tree
from textual.widgets.tree import TreeNode

from devenv.tui.safe_text import safe
from devenv.tui.widgets.inputs import Prompt

Path = tuple[int, ...]  # of a line: its place among those of each level, from the top
SHOWN: Final = 1_000  # of what one line holds
LONGEST: Final = 1_000  # characters of one value


class DataTree(Tree[Any]):
    """Mappings and lists below each other; the data is what it was when it was read."""

    DEFAULT_CSS = """
    DataTree { background: $background; height: 1fr; padding: 0 1; scrollbar-size: 1 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "cursor_down", "down", show=False, id="tree.down"),
        Binding("k", "cursor_up", "up", show=False, id="tree.up"),
        Binding("g", "scroll_home", "first", show=False, id="tree.first"),
        Binding("G", "scroll_end", "last", show=False, id="tree.last"),
        Binding("right", "open", "open", show=False, id="tree.open"),
        Binding("left", "fold", "fold", show=False, id="tree.fold"),
        Binding("n", "find(1)", "next", id="tree.next"),
        Binding("N", "find(-1)", "previous", id="tree.previous"),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("", id=id)
        self.show_root = False
        self.guide_depth = 2
        self.needle = ""
        self._source: object = None

    def show(self, data: object) -> None:
        """Show this; what is shown already stays as it is, opened and scrolled."""
        if data is self._source:
            return
        self._source = data
        self.clear()
        self.root.data = data
        self._fill(self.root)
        self.root.expand()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer the search's keys only while there is one."""
        return bool(self.needle) if action == "find" else super().check_action(action, parameters)

    @on(Tree.NodeExpanded)
    def _opened(self, event: Tree.NodeExpanded[Any]) -> None:
        self._fill(event.node)

    def _fill(self, node: TreeNode[Any]) -> None:
        if node.children:
            return
        for index, (key, value) in enumerate(children_of(node.data)):
            if index >= SHOWN:
                node.add_leaf(Text("… more", style="dim"))
                return
            if isinstance(value, Mapping | list) and value:
                kind = "{…}" if isinstance(value, Mapping) else "[…]"
                label = Text.assemble((safe(key), "bold"), (f"  {kind} {len(value)}", "dim"))
                node.add(label, data=value)
            else:
                node.add_leaf(Text.assemble((safe(key), "bold"), ": ", safe(scalar(value))), data=value)

    def action_open(self) -> None:
        """Open the line under the cursor."""
        if self.cursor_node is not None and self.cursor_node.allow_expand:
            self.cursor_node.expand()

    def action_fold(self) -> None:
        """Fold the line under the cursor, or the one that it is in."""
        node = self.cursor_node
        if node is None:
            return
        if not node.is_expanded and node.parent is not None and not node.parent.is_root:
            node = node.parent
            self.move_cursor(node)
        node.collapse()

    def search(self, needle: str) -> None:
        """Go to the first line with that text, from the cursor on."""
        self.needle = needle
        self.refresh_bindings()
        if needle:
            self._go(1, here=True)

    def action_find(self, step: int) -> None:
        """Go to the next line with the text that is searched for, or the one before; after the last comes the first."""
        self._go(step)

    def _go(self, step: int, *, here: bool = False) -> None:
        paths = list(matches(self.root.data, self.needle))
        if not paths:
            return
        at = self._path(self.cursor_node)
        if step > 0:
            path = next((path for path in paths if path > at or (here and path == at)), paths[0])
        else:
            path = next((path for path in reversed(paths) if path < at), paths[-1])
        node = self.root
        for index in path:
            self._fill(node)
            node.expand()
            node = node.children[index]
        self.call_after_refresh(self.move_cursor, node)

    def _path(self, node: TreeNode[Any] | None) -> Path:
        path: list[int] = []
        while node is not None and node.parent is not None:
            path.append(node.parent.children.index(node))
            node = node.parent
        return tuple(reversed(path))


class TreePrompt(Prompt):
    """Searches while it is typed into."""

    def __init__(self, tree: DataTree, *, id: str | None = None) -> None:
        super().__init__("part of a key or a value; n and N go on", tree, id=id)
        self._tree = tree

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._tree.search(event.value)


def children_of(data: object) -> Iterator[tuple[str, Any]]:
    """Yield what is in a mapping or list; an item of a list goes by its number and, where it has one, its name."""
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield str(key), value
    elif isinstance(data, list):
        for index, value in enumerate(data):
            name = value.get("name") if isinstance(value, Mapping) else None
            yield f"{index}{f' {name}' if isinstance(name, str) else ''}", value


def scalar(value: object) -> str:
    """Write a value as JSON does, without quotes, and cut where it is long."""
    words = {True: "true", False: "false", None: "null"}
    text = words[value] if value is None or isinstance(value, bool) else str(value)
    if isinstance(value, Mapping | list):
        text = "{}" if isinstance(value, Mapping) else "[]"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text):,} characters)"


def matches(data: object, needle: str, path: Path = ()) -> Iterator[Path]:
    """Yield the places of all lines with that text, in a key or a value, in the order in which a tree shows them."""
    folded = needle.casefold()
    for index, (key, value) in enumerate(children_of(data)):
        if index >= SHOWN:
            return
        nested = isinstance(value, Mapping | list) and bool(value)
        if folded in key.casefold() or (not nested and folded in scalar(value).casefold()):
            yield (*path, index)
        if nested:
            yield from matches(value, needle, (*path, index))
