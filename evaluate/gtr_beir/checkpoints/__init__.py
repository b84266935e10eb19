"""Checkpoints in every form they were released in, loaded as one encoder."""
