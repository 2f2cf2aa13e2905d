"""Tests of the bridge: pure logic with moved time, and links and services on real sockets and ptys."""
