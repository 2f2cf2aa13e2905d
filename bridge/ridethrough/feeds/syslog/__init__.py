"""Remote syslog: the event log, sent to one or two receivers while it is written (RFC 5424, manual M:2079–2190).

`events.syslog_message` writes what is sent, `connection` and `tls` carry it, `receiver` keeps what waits, `feed` joins them.
"""

from ridethrough.config.feeds import SyslogConfig
from ridethrough.feeds.base import FeedContext, Traffic

from .feed import SyslogFeed


def make(config: SyslogConfig, context: FeedContext, traffic: Traffic) -> SyslogFeed:
    """Make the feed of this configuration."""
    return SyslogFeed(config, context, traffic)


__all__ = ["SyslogFeed", "make"]
