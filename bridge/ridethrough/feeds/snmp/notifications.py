"""Traps and informs."""

import asyncio
from collections.abc import Callable

from ridethrough.config.feeds import SnmpConfig
from ridethrough.feeds.base import FeedContext, Traffic
from ridethrough.feeds.directory import Subject
from ridethrough.site import Change, CommandError

from .alarm_table import AlarmChange, AlarmTable
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
        *,
        traffic: Traffic | None = None,
        test: Callable[[], tuple[str, int]] = lambda: ("", 0),
    ) -> None:
        """Tell nothing yet. `test` gives what upsTestId and upsTestSpinLock have."""
        self._config = config

    async def run(self) -> None:
        """Tell until cancelled."""
        await asyncio.Event().wait()

    def follow(self, change: Change) -> None:
        """Take note of a change of the site."""

    def alarm_changed(self, change: AlarmChange) -> None:
        """Take note of a row of the table of alarms that came or went."""

    async def test(self) -> str:
        """Send a test. Raises CommandError when there is nobody to send to."""
        raise CommandError("refused", "The SNMP feed has no receivers to send a test to.")
