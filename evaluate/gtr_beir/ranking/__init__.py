"""Ranking: top-k, runs, measures and their tests; knows no system and no benchmark."""
