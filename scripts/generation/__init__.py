"""Writes what is derived from the catalogue, or says what has drifted from it."""
