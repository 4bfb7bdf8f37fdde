"""Tasks of a monorepo's packages: the graph, the key of each, what is kept of them, and the run."""
