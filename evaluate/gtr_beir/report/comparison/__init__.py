"""Two results beside each other: paired tests, a verdict in words, a gate."""
