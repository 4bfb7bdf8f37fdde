"""One run for different readers: the terminal, machines (JSON, JUnit), a pull request (Markdown), a browser (HTML)."""
