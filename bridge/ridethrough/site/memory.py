"""What devices remember themselves: the alert history that many UPSes keep (manual M:4290)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from .commands import CommandError
from .reading import DeviceId
from .site import Site


@dataclass(frozen=True, slots=True)
class Alert:
    """One entry of a device's own history, in its own words."""

    number: int
    """Its place in the device's memory; the oldest has the lowest."""
    at: str
    """When it happened by the device's clock, as the device writes it; empty where it does not say."""
    edge: str
    """`raised`, `cleared` or empty where the device does not say."""
    text: str


type Recall = Callable[[], Awaitable[tuple[Alert, ...]]]


class Memories:
    """Finds who can read a device's own history. Nothing is kept: it is read anew whenever somebody asks."""

    def __init__(self, site: Site) -> None:
        """Nobody offers one yet."""
        self._site = site
        self._recalls: dict[DeviceId, Recall] = {}

    def offer(self, device: DeviceId, recall: Recall) -> None:
        """Let `recall` read the history of `device`."""
        self._recalls[device] = recall

    async def recall(self, device_id: DeviceId) -> tuple[Alert, ...]:
        """Read a device's history, oldest first.

        Raises CommandError: unknown_device, unknown_command (it keeps none), offline, no_answer.
        """
        device = self._site.devices.get(device_id)
        if device is None:
            raise CommandError("unknown_device", f"There is no device {device_id}.")
        recall = self._recalls.get(device_id)
        if recall is None:
            raise CommandError("unknown_command", f"{device.name} keeps no history of its own that could be read.")
        return await recall()


__all__ = ["Alert", "Memories", "Recall"]
