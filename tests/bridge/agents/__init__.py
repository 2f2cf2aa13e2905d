"""Tests of the bridge's side of its agents."""
