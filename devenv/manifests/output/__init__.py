"""A report written for people, for programs and for code scanning."""
