"""The table of resources of both runtimes: its lines, their order and what their cells say; no widget."""
