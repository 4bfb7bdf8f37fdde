"""What the engine is asked about a failure: who holds a port or a name, and why a container did not start."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from devenv.backends.docker.parse import LABEL_ONE_OFF, LABEL_PROJECT, LABEL_SERVICE
from devenv.backends.programs import finish
from devenv.core.errors import DevenvError
from devenv.core.text import sanitize

ANSWER_WITHIN = 20.0  # seconds; an error is told without what could not be asked


class EngineQuestions:
    """Asks with the docker program, so that the same engine answers that Compose spoke to. What fails is unknown."""

    def __init__(self, directory: str, environ: Mapping[str, str] | None = None) -> None:
        self._directory = directory
        self._environ = environ

    def publishers(self, port: int, protocol: str) -> tuple[str, ...]:
        """Return the containers that publish a port."""
        return tuple(self._lines("ps", "--filter", f"publish={port}/{protocol}", "--format", "{{.Names}}"))

    def holder(self, name: str) -> tuple[str, str, bool] | None:
        """Return project and service of the container of this name, both "" for one that is not Compose's.

        The last is whether it was made by `docker compose run`. None: there is none, or it is not known.
        """
        try:
            labels: dict[str, Any] = json.loads("".join(self._inspect("{{json .Config.Labels}}", name))) or {}
        except ValueError:
            return None
        project, service = (sanitize(str(labels.get(key, ""))) for key in (LABEL_PROJECT, LABEL_SERVICE))
        return project, service, str(labels.get(LABEL_ONE_OFF)).lower() == "true"

    def start_errors(self, names: Sequence[str]) -> dict[str, str]:
        """Return why these containers did not start, by name, where the engine noted a reason."""
        found = {}
        for line in self._inspect("{{json .Name}} {{json .State.Error}}", *names):
            name, _, error = line.partition(" ")
            if error not in ("", '""'):
                found[sanitize(json.loads(name)).removeprefix("/")] = sanitize(json.loads(error))
        return found

    def _inspect(self, form: str, *names: str) -> list[str]:
        return self._lines("container", "inspect", "--format", form, "--", *names) if names else []

    def _lines(self, *arguments: str) -> list[str]:
        try:
            done = finish(["docker", *arguments], self._environ, timeout=ANSWER_WITHIN, folder=self._directory)
        except DevenvError:
            return []
        return [line for line in sanitize(done.stdout, newlines=True).splitlines() if line]


PublishersOf = Callable[[int, str], tuple[str, ...]]
HolderOf = Callable[[str], "tuple[str, str, bool] | None"]
