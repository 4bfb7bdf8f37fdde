"""devenv: one terminal for a Docker Compose stack and a Kubernetes namespace."""

__version__ = "0.1.0"
