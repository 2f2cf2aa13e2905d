"""Tests of what prepares and checks the project."""
