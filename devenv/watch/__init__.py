"""Compose's `develop.watch`: a saved file is in the container, and served, a moment later.

observe -> batches -> (rules) -> worker, one a service -> proof; the session holds them together and reports.
"""
