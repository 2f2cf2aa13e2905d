"""What battery systems remember, among the facts: one text for each part of each system."""

from collections.abc import Mapping

from ridethrough.battery.memory import MemoryFault
from ridethrough.site import DeviceId

from .database import StoreError
from .facts import Facts

_PREFIX = "battery/"


class Batteries:
    """Implements `battery.memory.Memory`."""

    def __init__(self, facts: Facts) -> None:
        """Keep it among these facts."""
        self._facts = facts

    async def load(self) -> Mapping[DeviceId, Mapping[str, str]]:
        """Return what is kept of every system, by part. Raises StoreError."""
        found: dict[DeviceId, dict[str, str]] = {}
        for key, text in (await self._facts.under(_PREFIX)).items():
            device, _, part = key.removeprefix(_PREFIX).partition("/")
            found.setdefault(DeviceId(device), {})[part] = text
        return found

    async def keep(self, device: DeviceId, parts: Mapping[str, str]) -> None:
        """See `Memory`."""
        try:
            await self._facts.change({f"{_PREFIX}{device}/{part}": text for part, text in parts.items()})
        except StoreError as error:
            raise MemoryFault(str(error)) from error


__all__ = ["Batteries"]
