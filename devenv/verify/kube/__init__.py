"""Smoke tests on Kubernetes: isolated copies in namespaces of their own."""
