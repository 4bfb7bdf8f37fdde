"""The Docker Engine, read through the docker SDK."""
