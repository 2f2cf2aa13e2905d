"""Tests of the battery system."""
