"""Tests of remote syslog."""
