"""What a store of collections and documents is: its records, its errors and the interface the service uses.

Every method blocks; the service calls them in bounded worker threads (threads.py). Text handed to a store is valid
Unicode without NUL, because PostgreSQL cannot hold one and no store should keep what another would refuse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Collection:
    """A named set of documents; `documents` is how many it holds, `created_at` is RFC 3339 in UTC."""

    id: int
    name: str
    documents: int
    created_at: str


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A document to add."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class DocumentSummary:
    """A stored document without its text; `collection` is the id of its collection."""

    id: int
    collection: int
    title: str
    created_at: str


@dataclass(frozen=True, slots=True)
class Document:
    """A stored document."""

    id: int
    collection: int
    title: str
    created_at: str
    text: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A document found; a higher `score` is a better match.

    `title_html` and `snippet` are HTML: the document's own text escaped, each match wrapped in <mark>.
    """

    id: int
    collection: int
    collection_name: str
    title: str
    title_html: str
    snippet: str
    score: float


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a longer list; `total` counts the whole list."""

    total: int
    items: list[T]


@dataclass(frozen=True, slots=True)
class Counts:
    """How much the store holds."""

    collections: int
    documents: int


def as_data(record: Any) -> dict[str, Any]:
    """Return a record's fields by name; a sixteenth of the cost of dataclasses.asdict, which copies deeply."""
    return {name: getattr(record, name) for name in record.__slots__}


class CollectionNotFound(Exception):
    """There is no collection with this id."""


class DocumentNotFound(Exception):
    """There is no document with this id in this collection."""


class NameTaken(Exception):
    """Another collection already has this name."""


class StoreUnavailable(Exception):
    """The store cannot do its work now; `code` is stable and `reason` says what is wrong and what would repair it."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Store(Protocol):
    """Where collections and documents are kept; every method may raise StoreUnavailable.

    A method that changes the store returns only after the change is durable: it survives the death of the process.
    """

    def open(self) -> None:
        """Open the store, creating it on the very first use; the other methods do it themselves when needed."""

    def close(self) -> None:
        """Release everything; the store may be opened again."""

    def check(self, timeout: float) -> None:
        """Prove within about `timeout` seconds that the store is open and a write would be durable."""

    def create_collection(self, name: str) -> Collection:
        """Add an empty collection; raises NameTaken."""

    def collections(self, limit: int, offset: int) -> Page[Collection]:
        """List collections in the order of their creation."""

    def collection(self, collection_id: int) -> Collection:
        """Return one collection; raises CollectionNotFound."""

    def delete_collection(self, collection_id: int) -> None:
        """Delete a collection with all its documents; raises CollectionNotFound."""

    def add_documents(self, collection_id: int, documents: Sequence[NewDocument]) -> list[int]:
        """Add all documents or none and return their ids in order; raises CollectionNotFound."""

    def documents(self, collection_id: int, limit: int, offset: int) -> Page[DocumentSummary]:
        """List a collection's documents, newest first; raises CollectionNotFound."""

    def document(self, collection_id: int, document_id: int) -> Document:
        """Return one document; raises CollectionNotFound or DocumentNotFound."""

    def delete_document(self, collection_id: int, document_id: int) -> None:
        """Delete one document; raises CollectionNotFound or DocumentNotFound."""

    def search(self, query: str, collection_id: int | None, limit: int, offset: int) -> Page[Hit]:
        """Find documents that have every word of `query`, the last one as a prefix, best match first.

        Any text is a valid query. Raises CollectionNotFound when a collection is named and missing.
        """

    def counts(self) -> Counts:
        """Count collections and documents."""
