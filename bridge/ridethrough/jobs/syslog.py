"""Texts to syslog: to the feed's receivers by way of the journal, or to a receiver of the job's own (RFC 5424, RFC 5426)."""

import os
import socket

from ridethrough.catalogue import Severity
from ridethrough.config.actions import SyslogAction
from ridethrough.events import EdgeKind
from ridethrough.events.steps import ActionError, Occasion
from ridethrough.events.syslog_message import LONGEST_DATAGRAM, SEVERITIES, Message, Sender, write

from .context import JobContext
from .log import enter
from .udp import send
from .wording import told

PORT = 514
"""Where receivers listen over UDP (RFC 5426 §3.3)."""
FACILITY = "daemon"


class Syslog:
    """Sends a text to receivers of syslog."""

    def __init__(self, context: JobContext) -> None:
        """Send by way of `context`."""
        self._context = context
        self._sequence = 0

    async def perform(self, action: SyslogAction, occasion: Occasion) -> str:
        """See `Performer`."""
        text = told(action.text, occasion, self._context)
        if not action.to:
            return await self._by_feed(text, occasion)
        host, port = receiver_of(action.to)
        self._sequence += 1
        sender = Sender(socket.gethostname(), os.getpid(), FACILITY)
        await send(
            self._context, host, port, [write(self._message(text, occasion), sender, self._sequence, LONGEST_DATAGRAM)]
        )
        return f"A syslog message was sent to {host}:{port}; nobody confirms it."

    async def _by_feed(self, text: str, occasion: Occasion) -> str:
        """Write it into the journal: the feed sends each of its events in order, also to receivers that are away now."""
        context = self._context
        feed = context.site.device_by_key(f"{context.bridge.key}/feed-syslog")
        switched = None if feed is None else context.site.conditions(feed.id).get("feed_enabled")
        if feed is None or switched is None or not switched.active:
            raise ActionError(
                "Remote syslog is off: give the configuration a section syslog with receivers, or the job one of its own."
            )
        await enter(context, "job_syslog", text, occasion, device=context.device_of(occasion))
        return "The feed syslog sends it to its receivers with the event log."

    def _message(self, text: str, occasion: Occasion) -> Message:
        device, event = self._context.device_of(occasion), occasion.event
        data = {"origin": occasion.origin}
        if device is not None:
            data |= {"device": device.key, "name": device.name}
        severity = SEVERITIES[EdgeKind.OCCURRED, Severity.INFO]
        if event is not None:
            data |= {"seq": str(event.seq), "key": event.key, "edge": event.edge.value}
            severity = SEVERITIES[event.edge, event.severity]
        return Message(self._context.clock.utc(), severity, "job_syslog", text, data)


def receiver_of(text: str) -> tuple[str, int]:
    """Read `host`, `host:port`, `address` or `[address]:port`; raises ActionError."""
    host, port = text, str(PORT)
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":") or port
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    if not host or not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ActionError(f"{text!r} is no receiver of syslog, as 192.0.2.7 or loghost.example:514 is.")
    return host, int(port)


__all__ = ["Syslog", "receiver_of"]
