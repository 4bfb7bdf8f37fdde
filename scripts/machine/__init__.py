"""What the scripts beside this package do to a machine so that `make run` and `make test` work on it.

Only the standard library and devenv.core.errors are imported here: these modules run before `.venv` exists.
"""
