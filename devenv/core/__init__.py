"""Facts: the model, state, errors, text and settings; imports nothing else of devenv."""
