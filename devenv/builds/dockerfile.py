"""Which images a Dockerfile starts from and copies out of: its stages, with the arguments of FROM put in.

Only that is read here; BuildKit is the judge of everything else (https://docs.docker.com/reference/dockerfile/). A
name that an argument without a value makes unknown is left as it is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

_DIRECTIVE: Final = re.compile(r"#\s*(\w+)\s*=\s*(.*?)\s*\Z")
_HEREDOC: Final = re.compile(r"<<(-?)\s*([\"']?)([A-Za-z_][\w.-]*)\2")
_ARG: Final = re.compile(r"([A-Za-z_]\w*)(?:=(\"[^\"]*\"|'[^']*'|\S*))?")
_FROM: Final = re.compile(r"(?:--platform=\S+\s+)?(\S+)(?:\s+AS\s+(\S+))?\s*\Z", re.IGNORECASE)
_COPY_FROM: Final = re.compile(r"(?:^|\s)--from=(\S+)")
_MOUNT_FROM: Final = re.compile(r"--mount=(?:[^\s,]+,)*from=([^\s,]+)")
_VARIABLE: Final = re.compile(
    r"\\(?P<plain>.)|\$(?:(?P<bare>\w+)|\{(?P<name>\w+)(?:(?P<how>:?[-+?])(?P<word>[^{}]*))?\})"
)
_HEREDOC_IN: Final = ("RUN", "COPY", "ADD")


class _Stage:
    def __init__(self, name: str, base: str) -> None:
        self.name = name
        self.base = base
        self.needs: list[str] = []  # stages, named contexts or images that it copies from


def image_references(text: str, args: Mapping[str, str], target: str = "") -> tuple[str, ...]:
    """Return the names outside the Dockerfile that the target (default: its last stage) is made from, in order.

    A name is an image or a named context; `scratch` is none. Stages that the target does not need do not count.
    """
    stages = list(_stages(text, args))
    if not stages:
        return ()
    by_name = {stage.name: number for number, stage in enumerate(stages) if stage.name}
    target_stage = by_name.get(target.lower(), _number(target, len(stages)))
    todo = [len(stages) - 1 if target_stage is None else target_stage]
    seen: set[int] = set()
    references: dict[str, None] = {}
    while todo:
        number = todo.pop(0)
        if number in seen:
            continue
        seen.add(number)
        stage = stages[number]
        for name in (stage.base, *stage.needs):
            # A stage is known below its FROM only; COPY may also count stages.
            other = by_name.get(name.lower())
            if other is None and name is not stage.base:
                other = _number(name, len(stages))
            if other is not None and other < number:
                todo.append(other)
            elif name.lower() != "scratch":
                references[name] = None
    return tuple(references)


def _number(name: str, count: int) -> int | None:
    return int(name) if name.isascii() and name.isdigit() and int(name) < count else None


def _stages(text: str, args: Mapping[str, str]) -> Iterator[_Stage]:
    known: dict[str, str] = {}
    stage: _Stage | None = None
    for word, rest in instructions(text):
        if word == "ARG" and stage is None:
            for name, value in _ARG.findall(rest):
                given = args.get(name)
                if given is not None:
                    known[name] = given
                elif value:
                    known[name] = _expand(value.strip("\"'"), known)
        elif word == "FROM":
            match = _FROM.match(rest.strip())
            if match is None:
                continue  # BuildKit will say what is wrong with it
            if stage is not None:
                yield stage
            stage = _Stage((match[2] or "").lower(), _expand(match[1].strip("\"'"), known))
        elif stage is not None and word in ("COPY", "ADD"):
            stage.needs += _COPY_FROM.findall(rest.partition("<<")[0])[:1]
        elif stage is not None and word == "RUN":
            stage.needs += _MOUNT_FROM.findall(rest)
    if stage is not None:
        yield stage


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Yield each instruction's word in capitals and its arguments; comments and the bodies of heredocs are left out."""
    lines = text.removeprefix("\ufeff").splitlines()
    escape = _escape_of(lines)
    at = 0
    while at < len(lines):
        line = lines[at].strip()
        at += 1
        if not line or line.startswith("#"):
            continue
        parts = []
        while line.endswith(escape):
            parts.append(line[:-1])
            # Comments and empty lines do not end what goes on.
            while at < len(lines) and (not lines[at].strip() or lines[at].lstrip().startswith("#")):
                at += 1
            if at >= len(lines):
                line = ""
                break
            line = lines[at].strip()
            at += 1
        whole = " ".join([*parts, line])
        word, _, rest = whole.partition(" ") if " " in whole else whole.partition("\t")
        word = word.upper()
        if word in _HEREDOC_IN:
            for dash, _, name in _HEREDOC.findall(rest):
                while at < len(lines) and (lines[at].lstrip("\t") if dash else lines[at]) != name:
                    at += 1
                at += 1
        yield word, rest.strip()


def _escape_of(lines: list[str]) -> str:
    """Return the character that continues a line: parser directives stand before everything else."""
    for line in lines:
        match = _DIRECTIVE.match(line.strip())
        if match is None:
            break
        if match[1].lower() == "escape" and match[2] in ("\\", "`"):
            return match[2]
    return "\\"


def _expand(text: str, known: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        if match["plain"] is not None:
            return match["plain"]
        name, how, word = match["bare"] or match["name"], match["how"] or "", match["word"] or ""
        text = known.get(name)
        is_set = text is not None and (bool(text) or not how.startswith(":"))
        if how.endswith("-"):
            return text or "" if is_set else _expand(word, known)
        if how.endswith("+"):
            return _expand(word, known) if is_set else ""
        return match[0] if text is None else text

    return _VARIABLE.sub(value, text)
