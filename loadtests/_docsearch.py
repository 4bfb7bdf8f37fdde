"""What docsearch's load tests add to devenv's plugin: options, documents in collections of the run's own, a user."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import _names
from _corpus import Corpus
from _library import Library
from locust import events

from devenv.core.errors import DevenvError, UsageError
from devenv.load import plugin
from devenv.load.target import Target
from devenv.load.users import Person
from devenv.runs.identity import Run

_OPTIONS = {
    "documents": (int, 10_000, 0, 1_000_000, "documents to load first"),
    "collections": (int, 4, 1, 100, "collections that they are spread over"),
    "visible_within": (float, 2.0, 0.001, 600, "seconds in which an added document must be found"),
}
_corpora: dict[int, Corpus] = {}


@events.init_command_line_parser.add_listener
def _add_options(parser: Any) -> None:
    for name, (kind, default, _, _, what) in _OPTIONS.items():
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, type=kind, default=default, metavar="N", help=f"{what} (default {default:g})")


@events.test_start.add_listener
def _begin(environment: Any, **_: Any) -> None:
    seed = environment.parsed_options.seed
    _corpora[seed] = Corpus(seed)  # now, and not when the first user is due


class Documents:
    """The documents of one run; they follow from its seed."""

    def __init__(self, options: Any, target: Target, run: Run) -> None:
        for name, (_, _, least, most, _) in _OPTIONS.items():
            if not least <= getattr(options, name) <= most:
                raise UsageError(
                    f"--{name.replace('_', '-')} must be {least:g} to {most:g}, not {getattr(options, name):g}"
                )
        self._options = options
        self._library = Library(target, run)

    def fill(self) -> Mapping[str, Any]:
        """Load the documents; returns what users know of them. Raises DevenvError."""
        options, library = self._options, self._library
        plugin.tell(f"{options.documents} documents are loaded")
        library.sweep()
        library.fill(Corpus(options.seed), options.documents, options.collections)
        return {"collections": library.collections, "documents": library.known(), "token": library.run.id}

    def remove(self) -> None:
        """Delete the run's collections; raises DevenvError."""
        try:
            self._library.remove()
        except DevenvError as error:
            raise DevenvError(error.message, "The next run on this machine does it.") from error


plugin.configure(names=_names.ALL, data=Documents, options=tuple(_OPTIONS))


class DocsearchUser(Person):
    """Somebody who uses docsearch."""

    abstract = True

    def on_start(self) -> None:
        """Take the documents and queries of the seed."""
        super().on_start()
        self.corpus = _corpora[self.environment.parsed_options.seed]
