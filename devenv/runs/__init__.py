"""One run, whatever it runs: its identity and process, its JSON lines, evidence, history and reports."""
