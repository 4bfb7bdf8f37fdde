"""What CI runs, the same on a laptop: the jobs of a pull request over the project's tasks, and their reports."""
