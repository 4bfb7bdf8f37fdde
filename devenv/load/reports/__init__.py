"""The reports of a load test: HTML, Markdown, JSON."""
