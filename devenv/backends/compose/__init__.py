"""Compose projects: where they are, and what Compose itself says is in them. Nothing here parses a Compose file."""

from devenv.backends.compose.find import ComposeOptions, NoComposeFile, find_project
from devenv.backends.compose.resolve import Pending, ProjectScope, begin_resolve, canonical, resolve

__all__ = [
    "ComposeOptions",
    "NoComposeFile",
    "Pending",
    "ProjectScope",
    "begin_resolve",
    "canonical",
    "find_project",
    "resolve",
]
