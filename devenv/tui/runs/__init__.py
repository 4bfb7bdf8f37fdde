"""Smoke tests and load tests in the terminal: the runs that it follows, their screens and their evidence."""
