"""Tests of the bridge's store."""
