"""The feed: from the journal's events to the receivers."""

import asyncio
from collections.abc import Callable
from functools import partial
import os
import socket
from typing import ClassVar, override

from ridethrough.catalogue import Severity
from ridethrough.config.feeds import SyslogConfig
from ridethrough.events import EdgeKind, Event
from ridethrough.events.syslog_message import SEVERITIES, Message, Sender, message_of
from ridethrough.feeds.base import Feed, FeedContext, FeedError, Traffic
from ridethrough.site import CommandError

from .receiver import Receiver

PATIENCE = 5.0
"""Seconds within which a test message must have arrived."""


class SyslogFeed(Feed):
    """Sends each event of the journal to every receiver, in order."""

    name: ClassVar[str] = SyslogConfig.name

    def __init__(self, config: SyslogConfig, context: FeedContext, traffic: Traffic) -> None:
        """Nothing is collected yet."""
        super().__init__(context, traffic)
        sender = Sender(socket.gethostname(), os.getpid(), config.facility)
        self._receivers = [Receiver(one, sender, context.clock, traffic, self._missing) for one in config.receivers]

    @override
    async def serve(self, ready: Callable[[str], None]) -> None:
        """Collect and send until cancelled. A receiver that cannot be reached is its worker's business."""
        if not self._receivers:
            raise FeedError("Remote syslog has nobody to send to: give its receivers.")
        unsubscribe = self.context.events.subscribe(self._collect)
        try:
            async with asyncio.TaskGroup() as workers:
                for receiver in self._receivers:
                    workers.create_task(receiver.run(), name=f"Syslog receiver {receiver.name}")
                ready(", ".join(receiver.name for receiver in self._receivers))
        finally:
            unsubscribe()

    @property
    @override
    def problem(self) -> str | None:
        """Which receivers cannot be reached, and why."""
        away = [f"{one.name}: {one.problem}." for one in self._receivers if one.problem is not None]
        return " ".join(away) or None

    @override
    async def test(self) -> str:
        """Send a message to each receiver, and say how that ended."""
        text = f"{self.context.bridge.name}: test of remote syslog"
        message = self._own("feed.test", text, SEVERITIES[EdgeKind.OCCURRED, Severity.INFO])
        reasons = await asyncio.gather(*(one.test(message, PATIENCE) for one in self._receivers))
        said = " ".join(
            f"A message was sent to {one.name}." if reason is None else f"{one.name} was not reached: {reason}."
            for one, reason in zip(self._receivers, reasons, strict=True)
        )
        if None not in reasons:
            raise CommandError("no_answer", said)
        return said

    def _collect(self, event: Event) -> None:
        # Devices are looked up now: one that is removed, or named anew, has had this event under this name.
        device = None if event.device is None else self.context.site.devices.get(event.device)
        compose = partial(message_of, event, device, self.context.site.catalogue)
        for receiver in self._receivers:
            receiver.put(compose)

    def _missing(self, count: int) -> Message:
        bridge = self.context.bridge.name
        text = f"{bridge}: {count} earlier messages were dropped because this receiver was away for too long"
        return self._own("messages_dropped", text, SEVERITIES[EdgeKind.OCCURRED, Severity.WARNING])

    def _own(self, key: str, text: str, severity: int) -> Message:
        """Make a message that is no event of the journal."""
        return Message(self.context.clock.utc(), severity, key, text, {"device": self.context.bridge.key, "key": key})


__all__ = ["SyslogFeed"]
