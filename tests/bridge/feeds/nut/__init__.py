"""Tests of the NUT server."""
