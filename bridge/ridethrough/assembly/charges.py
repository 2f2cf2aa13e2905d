"""Keeps the charge of batteries that only the bridge knows, so that a restart does not forget it."""

from collections.abc import Iterable
from datetime import datetime
import logging

from ridethrough.clock import Clock
from ridethrough.site import DeviceId, Site, Source
from ridethrough.store import Charge, Charges, StoreError

_LOGGER = logging.getLogger(__name__)

WATCH = 60.0
"""Seconds between two looks; on battery what is seen is kept each time."""
CALM = 10
"""Looks after which it is kept in any case."""


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
        looks = CALM
        while True:
            found = computed_charges(self._site, self._clock.utc(), self._site.devices)
            looks += 1
            if found and looks >= CALM:
                looks = 0
            else:
                found = {device: charge for device, charge in found.items() if self._on_battery(device)}
            await self._keep(found)
            await self._clock.sleep(WATCH)

    async def save(self) -> None:
        """Keep what is known now, before the links end."""
        await self._keep(computed_charges(self._site, self._clock.utc(), self._site.devices))

    def _on_battery(self, device: DeviceId) -> bool:
        condition = self._site.conditions(device).get("on_battery")
        return condition is not None and condition.active

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
