"""Encoders: texts become vectors, on one device."""
