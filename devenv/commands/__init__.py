"""The commands of the command line, one a module: each has `run(arguments) -> exit code`."""
