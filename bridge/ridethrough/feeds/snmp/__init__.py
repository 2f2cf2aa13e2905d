"""The SNMP agent: the UPS-MIB of RFC 1628 and its extensions, by v1, v2c and v3 (manual M:1857 and M:11512).

The way of a request: `transport` → `dispatcher` (with `access`, `usm`) → `reading` or `writing` → `instances`.
The way of a value: the site → `tree` (with `lines`, `tables`, `encoding`) → `instances`.

The codec and the security are our own and not pysnmp's, although DESIGN §7 names it: its agent was measured to hold the
loop for 43 ms at a stretch in a bulk walk, of 20 ms that are allowed. Here a walk copies bytes that are ready.
"""

from ridethrough.config.feeds import SnmpConfig
from ridethrough.feeds.base import Feed, FeedContext, Traffic
from ridethrough.maps.objects import load_alarms, load_mibs

from .agent import SnmpFeed
from .alarm_table import BATTERIES


def make(config: SnmpConfig, context: FeedContext, traffic: Traffic) -> Feed:
    """Make the feed; nothing is opened yet."""
    return SnmpFeed(config, context, traffic)


def prepare() -> None:
    """Read the tables."""
    load_mibs()
    for kind in ("ups", BATTERIES):
        load_alarms(kind)


__all__ = ["make", "prepare"]
