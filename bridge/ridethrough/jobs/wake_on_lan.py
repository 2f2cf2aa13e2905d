"""Magic packets, which start computers that are off."""

from ridethrough.addresses import hardware_address
from ridethrough.config.actions import WakeOnLanAction
from ridethrough.events.steps import ActionError, Occasion
from ridethrough.wake import wake

from .context import JobContext
from .udp import sending


class WakeOnLan:
    """Sends magic packets."""

    def __init__(self, context: JobContext) -> None:
        """Send by way of `context`."""
        self._context = context

    async def perform(self, action: WakeOnLanAction, occasion: Occasion) -> str:
        """See `Performer`."""
        context = self._context
        try:
            macs = [hardware_address(mac) for mac in action.macs]
        except ValueError as error:
            raise ActionError(f"{error}.") from error
        async with sending(context, action.broadcast):
            await wake(macs, action.broadcast, action.port, context.clock, context.limits.wake_gap)
        who = ", ".join(macs)
        return f"Magic packets for {who} were sent to {action.broadcast}:{action.port}; nobody confirms them."


__all__ = ["WakeOnLan"]
