"""What docsearch's backend and frontend have in common: hot reload, the log's format, the health check, the socket."""
