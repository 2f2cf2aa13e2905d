"""The two public RCCMD datagrams: power has failed, and for how long the battery lasts; power is back.

Nothing more of that protocol is public, and nothing more is claimed: these two texts, one datagram each, to UDP 6003.
Minutes are whole ones with `.00` behind them, as programs in use expect them.
"""

import asyncio

from ridethrough.config.actions import DatagramAction
from ridethrough.events.steps import ActionError, Occasion
from ridethrough.site import Device

from .context import JobContext
from .udp import send
from .wording import UNKNOWN, one_line

FAILED = "CONNECT TO RCCMD (SEND) MSG_EXECUTE MSG_TEXT Powerfail on {model}: Autonomietime {minutes} min."
RESTORED = "CONNECT TO RCCMD (SEND) MSG_EXECUTE MSG_TEXT Powerfail on {model}: restored."
LONGEST_MODEL = 64


class Datagram:
    """Sends one of them to all receivers. Whether one arrives nobody knows."""

    def __init__(self, context: JobContext) -> None:
        """Send by way of `context`."""
        self._context = context

    async def perform(self, action: DatagramAction, occasion: Occasion) -> str:
        """See `Performer`."""
        context = self._context
        config = context.agents.datagrams
        if not config.enabled:
            raise ActionError("The public datagrams are off: switch them on by enabled: in the section datagrams.")
        receivers = action.to or config.receivers
        if not receivers:
            raise ActionError("The public datagrams have no receivers: give some in the section datagrams.")
        text = self.text(self._ups(occasion), restored=action.restored)
        payload = text.encode("ascii", "replace")
        ended = await asyncio.gather(
            *(send(context, host, config.port, [payload]) for host in receivers), return_exceptions=True
        )
        problems = []
        for outcome in ended:
            if isinstance(outcome, ActionError):
                problems.append(outcome)
            elif isinstance(outcome, BaseException):
                raise outcome
        if len(problems) == len(receivers):
            raise ActionError(" ".join(map(str, problems)), again=any(problem.again for problem in problems))
        sent = len(receivers) - len(problems)
        return " ".join([f"Sent to {sent} of {len(receivers)} receivers: {text}", *map(str, problems)])

    def text(self, ups: Device | None, *, restored: bool) -> str:
        """Return the text for this UPS; what is not known is `n/a`."""
        model = UNKNOWN if ups is None else one_line(ups.model or ups.name)[:LONGEST_MODEL]
        return (RESTORED if restored else FAILED).format(model=model, minutes=self._minutes(ups))

    def _ups(self, occasion: Occasion) -> Device | None:
        """Return the UPS of the event; where there is no event, the only one there is."""
        found = self._context.ups_of(self._context.device_of(occasion))
        if found is not None or (occasion.event is not None and occasion.event.device is not None):
            return found
        every = [device for device in self._context.site.devices.values() if device.kind == "ups"]
        return every[0] if len(every) == 1 else None

    def _minutes(self, ups: Device | None) -> str:
        reading = None if ups is None else self._context.site.reading(ups.id, "battery.runtime")
        if reading is None or not reading.good or not isinstance(reading.value, int | float):
            return UNKNOWN
        return f"{int(reading.value // 60)}.00"


__all__ = ["Datagram"]
