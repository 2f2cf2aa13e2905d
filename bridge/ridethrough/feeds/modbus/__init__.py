"""The Modbus server, TCP and RTU, with the register maps of the manual's appendix."""

from ridethrough.config.feeds import ModbusConfig
from ridethrough.feeds.base import FeedContext, Traffic

from .feed import ModbusFeed


def make(config: ModbusConfig, context: FeedContext, traffic: Traffic) -> ModbusFeed:
    """Make the feed; it serves once it is told to."""
    return ModbusFeed(config, context, traffic)


__all__ = ["ModbusFeed", "make"]
