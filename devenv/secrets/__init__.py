"""Secrets: committed ones found (never shown), and the ones that an overlay needs listed."""
