"""What is concluded from a recording: pure functions over its series."""
