"""The names under which requests are counted; thresholds use them."""

from __future__ import annotations

SEARCH = "search"
PAGE = "page"  # a further page of results
COLLECTIONS = "collections"
LIST = "list"  # the newest documents of a collection
DOCUMENT = "document"
ADD = "add"
BATCH = "batch"
FIND = "find"  # a search for a document that was just added
READ_YOUR_WRITE = "read-your-write"  # from the acknowledgement of a document until it was found

ALL = (SEARCH, PAGE, COLLECTIONS, LIST, DOCUMENT, ADD, BATCH, FIND, READ_YOUR_WRITE)
