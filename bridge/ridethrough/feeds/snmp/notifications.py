"""Traps and informs."""

import asyncio
from collections.abc import Callable

from ridethrough.config.feeds import SnmpConfig
from ridethrough.feeds.base import FeedContext
from ridethrough.feeds.directory import Subject
from ridethrough.site import Change, CommandError

from .alarm_table import AlarmTable
from .engine_identity import EngineIdentity


class Notifications:
    """Tells receivers what happens."""

    def __init__(
        self,
        config: SnmpConfig,
        context: FeedContext,
        identity: EngineIdentity,
        subject: Subject,
        alarms: AlarmTable,
        uptime: Callable[[], int],
    ) -> None:
        """Tell nothing yet."""
        self._config = config

    async def run(self) -> None:
        """Tell until cancelled."""
        await asyncio.Event().wait()

    def follow(self, change: Change) -> None:
        """Take note of a change of the site."""

    async def test(self) -> str:
        """Send a test. Raises CommandError when there is nobody to send to."""
        raise CommandError("refused", "The SNMP feed has no receivers to send a test to.")
