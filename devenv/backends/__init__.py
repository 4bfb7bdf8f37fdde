"""What reads the world and emits records (`devenv.model`); never imports Textual, never changes anything."""
