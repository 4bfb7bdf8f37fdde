"""Bring what an overlay renders onto a cluster, prove that it serves, and go back when it does not."""
