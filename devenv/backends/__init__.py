"""What reads the world and emits records (`devenv.core.model`); never imports Textual, never changes anything."""
