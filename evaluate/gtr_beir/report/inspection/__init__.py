"""Single queries of results beside each other."""
