"""doc-indexer: the document-search service of the docsearch stack.

Nothing is imported here: the health check is a new process every few seconds and pays for every import.
"""

__version__ = "0.1.0"
