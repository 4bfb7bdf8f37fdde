"""The widgets: one a file, grouped by nothing but their names; where a style is needed it is a sibling stylesheet."""
