"""Lengths of texts: words, tokens, and what was cut."""
