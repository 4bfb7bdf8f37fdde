"""Load tests: a plugin for Locust, what is recorded beside them, and what is concluded from it."""
