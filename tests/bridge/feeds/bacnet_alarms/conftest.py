"""Fixtures of the tests of BACnet's alarms."""

from tests.peers.bacpy import expected_lingering_timers, stamps_with_tags

__all__ = ["expected_lingering_timers", "stamps_with_tags"]
