"""BACnet/IP: the bridge as a device with an object for each point and condition (ASHRAE 135, manual M:2005)."""

from ridethrough.config.feeds import BacnetConfig
from ridethrough.feeds.base import Feed, FeedContext, Traffic

from .feed import BacnetFeed


def make(config: BacnetConfig, context: FeedContext, traffic: Traffic) -> Feed:
    """Make the feed."""
    return BacnetFeed(config, context, traffic)


__all__ = ["make"]
