"""Kubernetes, read over raw JSON."""
