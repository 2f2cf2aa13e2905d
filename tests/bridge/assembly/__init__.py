"""Tests of the bridge's config."""
