"""Figures of a Report."""
