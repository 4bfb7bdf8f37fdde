"""What `develop.watch` of a project asks for, and which rule a changed path belongs to.

The document is Compose's own (`docker compose config --format json`), so that paths are absolute already. The rules
are those of https://github.com/compose-spec/compose-spec/blob/main/develop.md; what the specification leaves open
(several rules for one path, files of editors, `.git`) is as `docker compose watch` has it.
"""

from __future__ import annotations

import fnmatch
import os
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from devenv.builds.ignore import IgnoreMatcher, read_patterns
from devenv.core.errors import ProjectError
from devenv.core.text import sanitize

# docker/compose, pkg/watch/ephemeral.go: files that JetBrains' editors, Emacs, vim, Kate and Go write for a moment.
EPHEMERAL = (
    *("*___jb_old___", "*___jb_tmp___", ".idea", ".#*", "#*#", "4913", "*~", ".*.swp", ".*.swx", ".*.swo", ".*.swn"),
    *(".*.kate-swp", "*-go-tmp-umask", ".git"),
)
_EPHEMERAL = re.compile("|".join(map(fnmatch.translate, EPHEMERAL)))
HOW = (
    "Write into the service:\n    develop:\n      watch:\n        - {action: sync, path: ./src, target: /app/src}\n"
    "The actions are sync, rebuild, restart, sync+restart and sync+exec (docs/WATCH.md)."
)


class Action(StrEnum):
    """What a change does."""

    SYNC = "sync"
    REBUILD = "rebuild"
    RESTART = "restart"
    SYNC_RESTART = "sync+restart"
    SYNC_EXEC = "sync+exec"

    @property
    def syncs(self) -> bool:
        """Whether files are copied into the container."""
        return self.value.startswith("sync")


@dataclass(frozen=True, slots=True)
class Hook:
    """The command of sync+exec, in the container."""

    command: tuple[str, ...]
    user: str = ""
    privileged: bool = False
    working_dir: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)  # two entries are two rules, and a rule is a key of a cache
class Rule:
    """One entry of `develop.watch`. `path` has no symbolic link in it; `target` is "" where nothing is copied."""

    action: Action
    path: str
    target: str
    is_file: bool
    ignore: IgnoreMatcher
    include: IgnoreMatcher | None
    initial_sync: bool
    hook: Hook | None

    def place(self, path: str) -> str | None:
        """Return the path relative to the rule's, "." for itself; None for one outside."""
        if path == self.path:
            return "."
        return path[len(self.path.rstrip("/")) + 1 :] if is_below(path, self.path) else None

    def target_of(self, path: str) -> str:
        """Return where the path of this rule is in the container."""
        place = self.place(path)
        return self.target if place in (".", None) else posixpath.join(self.target, str(place))


class _Look(NamedTuple):
    """Whether a path is ignored, and what its children need: the bits that `IgnoreMatcher.match` gives and takes."""

    is_ignored: bool
    is_ephemeral: bool
    rule_bits: int
    build_bits: int


class ServiceRules:
    """The rules of one service with what its build ignores."""

    def __init__(self, service: str, rules: Sequence[Rule], context: str, ignored: IgnoreMatcher) -> None:
        self.service = service
        self.rules = tuple(rules)
        self._context = context
        self._ignored = ignored
        self._folder = lru_cache(maxsize=16_384)(self._look)

    def only(self, rules: Sequence[Rule]) -> ServiceRules:
        """Return the same with these rules alone."""
        return ServiceRules(self.service, rules, self._context, self._ignored)

    def matches(self, rule: Rule, path: str) -> bool:
        """Tell whether a change of this file is one of the rule's."""
        place = rule.place(path)
        if place is None or self.ignores(rule, path):
            return False
        return rule.include is None or place == "." or rule.include.ignores(place)

    def covers(self, path: str, *, is_folder: bool) -> bool:
        """Tell whether a change of the path is of interest; of a folder, whether something in it may be."""
        if is_folder:
            return any(rule.place(path) is not None and not self.ignores(rule, path) for rule in self.rules)
        return any(self.matches(rule, path) for rule in self.rules)

    def skips(self, folder: str) -> bool:
        """Tell whether nothing in this folder can be of interest, so that it need not be watched."""
        for rule in self.rules:
            above = rule.path != folder and is_below(rule.path, folder)
            if above or (
                rule.place(folder) is not None and not (self.ignores(rule, folder) and self._ends_there(rule, folder))
            ):
                return False
        return True

    def files(self, rule: Rule, top: str) -> Iterator[str]:
        """Yield what of the rule is in the folder `top`: itself, folders before what is in them, files and links."""
        if self.matches(rule, top):
            yield top
        try:
            entries = sorted(os.scandir(top), key=lambda entry: entry.name)
        except OSError:  # it went away meanwhile, which is a change of its own
            return
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if not self.skips(entry.path):
                    yield from self.files(rule, entry.path)
            elif self.matches(rule, entry.path):
                yield entry.path

    def ignores(self, rule: Rule, path: str) -> bool:
        """Tell whether a path of the rule is left out; what a rule names itself never is, whatever is ignored."""
        return self._look(rule, path).is_ignored

    def _look(self, rule: Rule, path: str) -> _Look:
        """Match one path with what is known of its folder: patterns are asked once a path, not once a folder above."""
        in_context = path[len(self._context) + 1 :] if self._context and is_below(path, self._context) else ""
        if path == rule.path:
            bits = 0
            for end in (at for at, char in enumerate(f"{in_context}/") if char == "/" and in_context):
                _, bits = self._ignored.match(in_context[:end], bits)
            return _Look(False, False, 0, bits)
        folder, _, name = path.rpartition("/")
        above = self._folder(rule, folder)
        if above.is_ephemeral or _EPHEMERAL.match(name):
            return _Look(True, True, 0, 0)
        by_rule, rule_bits = rule.ignore.match(rule.place(path) or "", above.rule_bits)
        by_build, build_bits = self._ignored.match(in_context, above.build_bits) if in_context else (False, 0)
        return _Look(by_rule or by_build, False, rule_bits, build_bits)

    def _ends_there(self, rule: Rule, folder: str) -> bool:
        """Tell whether no `!` takes back something below a folder that is ignored."""
        if self._folder(rule, folder).is_ephemeral:
            return True
        in_context = os.path.relpath(folder, self._context) if self._context else ""
        return not (rule.ignore.may_keep_below(rule.place(folder) or ".") or self._ignored.may_keep_below(in_context))


def read_rules(
    document: Mapping[str, Any], services: Sequence[str] = (), *, has_mounts: bool = True
) -> tuple[tuple[ServiceRules, ...], list[str]]:
    """Return the rules of these services (none named: of all that have some), and what was left out and why.

    `has_mounts` says that the containers are those of Compose, where a bind mount makes a sync needless.
    Raises ProjectError where there is nothing to watch, and where a path is not there.
    """
    bodies: Mapping[str, Mapping[str, Any]] = document.get("services") or {}
    remarks: list[str] = []
    with_rules: list[ServiceRules] = []
    for name in services or sorted(bodies):
        body = bodies.get(name) or {}
        entries = (body.get("develop") or {}).get("watch") or ()
        if not entries and services:
            raise ProjectError(f"Service {sanitize(name)} has no develop.watch: nothing of it can be watched", HOW)
        build = body.get("build") or {}
        # A context may be an address, whose files nobody changes here.
        context = os.path.realpath(build["context"]) if str(build.get("context", "")).startswith("/") else ""
        ignored = dockerignore(Path(context), build.get("dockerfile") or "Dockerfile") if context else IgnoreMatcher()
        rules = []
        for entry in entries:
            rule = _rule(name, entry)
            mounted = _mounted(rule, body) if rule.action.syncs and has_mounts else ""
            if mounted:
                remarks.append(f"{name}: {mounted}")
            else:
                rules.append(rule)
        if rules:
            with_rules.append(ServiceRules(sanitize(name), rules, context, ignored))
    if not with_rules and not remarks:
        raise ProjectError("No service of the project has develop.watch: there is nothing to watch", HOW)
    if not with_rules:
        raise ProjectError("; ".join(remarks), "Remove the mount, or the rule: both do the same.")
    return tuple(with_rules), remarks


def dockerignore(context: Path, dockerfile: str) -> IgnoreMatcher:
    """Return what a build ignores: by `<Dockerfile>.dockerignore` where it is there, else by the context's own file."""
    for file in (context / f"{dockerfile}.dockerignore", context / ".dockerignore"):
        if file.is_file():
            try:
                return IgnoreMatcher(read_patterns(file.read_bytes()))
            except OSError as error:
                raise ProjectError(f"{file} cannot be read: {error.strerror}", "A build needs it too.") from error
    return IgnoreMatcher()


def _rule(service: str, entry: Mapping[str, Any]) -> Rule:
    path = os.path.realpath(entry["path"])
    place = f"services.{sanitize(service)}.develop.watch"
    if not Path(path).exists():
        raise ProjectError(
            f"{place}: the path {sanitize(str(entry['path']))} is not there",
            "Make it, or correct `path`: it is relative to the Compose file's folder.",
        )
    try:
        action = Action(entry["action"])
    except ValueError:
        hint = f"It knows {', '.join(Action)}."
        raise ProjectError(f"{place}: devenv does not know the action {entry['action']!r}", hint) from None
    target = str(entry.get("target") or "")
    if action.syncs and not target.startswith("/"):
        raise ProjectError(f"{place}: {action} of {sanitize(path)} has no absolute `target`", "Name its place inside.")
    hook = entry.get("exec") or {}
    if action is Action.SYNC_EXEC and not hook.get("command"):
        raise ProjectError(f"{place}: sync+exec of {sanitize(path)} has no exec.command", "Name the command.")
    include = tuple(entry.get("include") or ())
    return Rule(
        action=action,
        path=path,
        target=posixpath.normpath(target) if action.syncs else "",
        is_file=not Path(path).is_dir(),
        ignore=IgnoreMatcher(entry.get("ignore") or ()),
        include=IgnoreMatcher(include) if include else None,
        initial_sync=bool(entry.get("initial_sync") or entry.get("x-initialSync")) and action.syncs,
        hook=_hook(hook) if action is Action.SYNC_EXEC else None,
    )


def _hook(data: Mapping[str, Any]) -> Hook:
    return Hook(
        command=tuple(map(str, data["command"])),
        user=str(data.get("user") or ""),
        privileged=data.get("privileged") is True,
        working_dir=str(data.get("working_dir") or ""),
        environment={str(key): str(value or "") for key, value in (data.get("environment") or {}).items()},
    )


def _mounted(rule: Rule, body: Mapping[str, Any]) -> str:
    """Say that a bind mount shows the rule's files in the container already; "" where none does."""
    for volume in body.get("volumes") or ():
        if volume.get("type") != "bind":
            continue
        source, target = os.path.realpath(str(volume.get("source"))), posixpath.normpath(str(volume.get("target")))
        if is_below(rule.path, source) and is_below(rule.target, target):
            return f"{sanitize(rule.path)} is mounted at {sanitize(target)}, so that {rule.action} is not needed"
    return ""


def is_below(path: str, folder: str) -> bool:
    """Tell whether a path is in a folder, or the folder itself; both absolute and without `..`."""
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")
