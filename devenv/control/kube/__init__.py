"""Changes of a Kubernetes cluster."""
