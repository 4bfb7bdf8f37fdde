"""The recording beside a load test: one clock, JSON lines, written as it happens."""
