"""The terminal: shows records and passes on wishes. Nothing in here knows which runtime it is about."""
