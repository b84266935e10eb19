"""A Report as markdown, CSV, HTML and LaTeX."""
