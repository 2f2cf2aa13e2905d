"""Tests of the bridge's events."""
