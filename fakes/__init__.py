"""What tests and benchmarks talk to in place of the real thing: an API server, a Docker Engine, a large folder."""
