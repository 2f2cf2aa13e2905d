"""Tests of the shutdown agent: real processes on the loopback, against a bridge's side of our own."""
