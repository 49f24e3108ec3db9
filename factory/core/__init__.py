"""What is decided, and nothing else: pure functions of text and counts."""
