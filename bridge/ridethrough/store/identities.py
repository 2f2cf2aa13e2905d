"""Who is who, for ever: the bridge's own UUID and, from it, one for each device."""

from uuid import UUID, uuid4, uuid5

from sqlalchemy import select
from sqlalchemy.dialects.sqlite import insert

from ridethrough.site import DeviceId

from .database import Database, StoreError
from .tables import FACTS


class Identities:
    """The bridge's identity and those of its devices (DESIGN §4.4).

    The bridge mints one random UUID for its store and keeps it. A device's identity is worked out from that and the
    key the configuration gives it (UUID version 5), so there is nothing to write when a link finds a new outlet, and
    no moment at which an identity has been published but not yet kept: after `kill -9` the same key gives the same
    UUID. Two bridges differ even for equal keys; equal or absent serial numbers do not matter; a new store is a new
    bridge.
    """

    def __init__(self, bridge: UUID) -> None:
        """Use `load`."""
        self._bridge = bridge

    @classmethod
    async def load(cls, database: Database) -> Identities:
        """Read the bridge's UUID; mint and keep it if there is none. Raises StoreError."""
        query = select(FACTS.c.value).where(FACTS.c.key == "bridge_id")
        async with database.read() as connection:
            kept = (await connection.execute(query)).scalar()
        if kept is None:
            # Nothing is written without need: the disk may be full.
            async with database.write() as connection:
                row = {"key": "bridge_id", "value": str(uuid4())}
                await connection.execute(insert(FACTS).values(row).on_conflict_do_nothing())
                kept = (await connection.execute(query)).scalar_one()
        try:
            return cls(UUID(kept))
        except ValueError as error:
            raise StoreError(f"The store {database.path} is damaged: {kept!r} is not the UUID of a bridge.") from error

    @property
    def bridge_id(self) -> DeviceId:
        """The bridge's own UUID; it names the journal too."""
        return DeviceId(str(self._bridge))

    def mint(self, key: str) -> DeviceId:
        """Give the device that the configuration calls `key` its UUID: always the same one in this store."""
        return DeviceId(str(uuid5(self._bridge, key)))
