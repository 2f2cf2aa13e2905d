"""How full the batteries were, where only the bridge knows it: it counts from there when it runs again."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
import math

from sqlalchemy import select
from sqlalchemy.dialects.sqlite import insert

from ridethrough.site import DeviceId
from ridethrough.tasks import unbroken

from .database import Database, instant, stamp
from .tables import CHARGES


@dataclass(frozen=True, slots=True)
class Charge:
    """How full a battery was."""

    percent: float
    """0–100; kept in tenths, rounded down."""
    at: datetime
    """When it was so (UTC)."""


class Charges:
    """One charge for each device."""

    def __init__(self, database: Database) -> None:
        """Use the store's database."""
        self._database = database

    @unbroken
    async def load(self) -> Mapping[DeviceId, Charge]:
        """Return what has been kept. Raises StoreError."""
        async with self._database.read() as connection:
            rows = await connection.execute(select(CHARGES.c.device, CHARGES.c.charge, CHARGES.c.at))
            return {DeviceId(device): Charge(charge / 10, instant(at)) for device, charge, at in rows}

    @unbroken
    async def keep(self, charges: Mapping[DeviceId, Charge]) -> None:
        """Keep these in the place of those kept before; others stay. Raises StoreError."""
        if not charges:
            return
        rows = [
            {"device": device, "charge": math.floor(10 * charge.percent + 1e-6), "at": stamp(charge.at)}
            for device, charge in charges.items()
        ]
        statement = insert(CHARGES)
        fresh = {"charge": statement.excluded.charge, "at": statement.excluded.at}
        async with self._database.write() as connection:
            await connection.execute(statement.on_conflict_do_update(index_elements=["device"], set_=fresh), rows)


__all__ = ["Charge", "Charges"]
