"""docfront: the search page of docsearch and the proxy from it to the backend."""

__version__ = "0.1.0"
