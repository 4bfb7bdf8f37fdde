"""Screens above others that ask or tell something: one a file, each with a sibling stylesheet."""
