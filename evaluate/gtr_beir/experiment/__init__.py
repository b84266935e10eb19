"""Experiments: several systems on several datasets, described once and carried out in one go."""
