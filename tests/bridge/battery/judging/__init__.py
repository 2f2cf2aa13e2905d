"""Tests of what is found wrong with batteries."""
