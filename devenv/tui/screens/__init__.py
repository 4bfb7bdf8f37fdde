"""The screens: one a file, each with a sibling stylesheet."""
