"""Kubernetes manifests checked without a cluster: rendered by kustomize, validated by schema, judged by rules."""
