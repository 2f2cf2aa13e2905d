"""A server that clients of Network UPS Tools take for upsd: upsc, upsmon, a NAS, Home Assistant (FEATURES F6).

`wire` is the protocol's lines, `dialogue` what one client says; `ups`, `variables`, `status` and `commands` are what the
site's devices are called in NUT.
"""

from ridethrough.config.feeds import NutConfig
from ridethrough.feeds.base import FeedContext, Traffic

from .feed import NutFeed


def make(config: NutConfig, context: FeedContext, traffic: Traffic) -> NutFeed:
    """Make the feed."""
    return NutFeed(config, context, traffic)


__all__ = ["NutFeed", "make"]
