"""Exceptions: an annotation on the object, `devenv.io/ignore.RULE: reason`. They too are checked."""

from __future__ import annotations

from devenv.manifests.registry import WARNING, declare

declare(
    "exception-reason",
    subject="exceptions",
    reason="An exception without a reason cannot be judged by the next person, and so is never removed.",
    source="issue: exceptions are annotations with a reason",
    fix="Write the reason as the annotation's value.",
)
declare(
    "exception-unknown",
    subject="exceptions",
    reason="An exception from a rule that does not exist excuses nothing; most likely its name is misspelt.",
    source="issue: exceptions are annotations with a reason",
    fix="Use an id that `devenv manifests rules` lists.",
)
declare(
    "exception-unused",
    subject="exceptions",
    reason="An exception that excuses nothing any more will hide the next mistake.",
    source="issue: exceptions are annotations with a reason",
    fix="Remove the annotation, or the entry of [manifests.compose] allow in devenv.toml.",
    severity=WARNING,
)
