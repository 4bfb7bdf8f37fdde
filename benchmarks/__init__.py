"""Measurements of the program: printed, never asserted. `python -m benchmarks` runs them all on a real engine."""
