"""Keeps the charge of batteries that only the bridge knows, so that a restart does not forget it."""

from collections.abc import Iterable
from datetime import datetime
import logging

from ridethrough.clock import Clock
from ridethrough.site import DeviceId, Site, Source
from ridethrough.store import Charge, Charges, StoreError

_LOGGER = logging.getLogger(__name__)

PERIOD = 60.0
"""Seconds after which it is kept, also on mains: a bridge that was killed takes the battery to have carried full load since
then, and would find it nearly empty after ten minutes, and shut down what has just been started again."""


class ChargeKeeper:
    """Writes what is known down from time to time, and when the bridge stops."""

    def __init__(self, site: Site, charges: Charges, clock: Clock) -> None:
        """Nothing is written until `run`."""
        self._site = site
        self._charges = charges
        self._clock = clock
        self._failing = False

    async def run(self) -> None:
        """Keep the charges for ever."""
        while True:
            await self.save()
            await self._clock.sleep(PERIOD)

    async def save(self) -> None:
        """Keep what is known now; when the bridge stops, before its links end."""
        await self._keep(computed_charges(self._site, self._clock.utc(), self._site.devices))

    async def _keep(self, charges: dict[DeviceId, Charge]) -> None:
        try:
            await self._charges.keep(charges)
        except StoreError as error:
            if not self._failing:
                _LOGGER.warning("The charge of the batteries cannot be kept: %s", error)
            self._failing = True
        else:
            if self._failing and charges:
                _LOGGER.info("The charge of the batteries is kept again")
                self._failing = False


def computed_charges(site: Site, now: datetime, devices: Iterable[DeviceId]) -> dict[DeviceId, Charge]:
    """Give the charge of those batteries of which the bridge has worked it out."""
    found: dict[DeviceId, Charge] = {}
    for device in devices:
        reading = site.readings(device).get("battery.charge")
        if reading is None or not reading.good or reading.source is not Source.COMPUTED:
            continue
        if isinstance(reading.value, int | float):
            found[device] = Charge(float(reading.value), now)
    return found


__all__ = ["ChargeKeeper", "computed_charges"]
