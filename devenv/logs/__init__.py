"""The log engine, for containers and pods alike: what a line says, buffers, the order of several sources, filters."""
