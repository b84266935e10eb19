"""Reports: records and published numbers become tables, tables become text."""
