"""Load tests: what is recorded beside them, and what is concluded from it. Locust itself is in loadtests/."""
