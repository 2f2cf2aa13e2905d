"""Tests of what the bridge decides."""
