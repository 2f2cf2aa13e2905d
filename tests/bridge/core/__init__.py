"""Tests of the bridge's core."""
