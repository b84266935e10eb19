"""Datasets: the registry of facts, the strict import, and the columns on disk."""
