"""How old the charge is at most that a bridge finds which was killed."""

import asyncio
from pathlib import Path

from ridethrough.assembly.charges import PERIOD, ChargeKeeper
from ridethrough.clock import ManualClock
from ridethrough.site import Source
from tests.bridge.feeds.rig import a_world


async def test_charge_is_kept_every_minute_also_on_mains(tmp_path: Path) -> None:
    clock = ManualClock()
    async with a_world(tmp_path, clock) as world:
        ups = world.device("ups-1")
        world.post(ups, conditions={"on_battery": False})
        computed = world.site.lane(ups.id, None, Source.COMPUTED)
        keeping = asyncio.create_task(ChargeKeeper(world.site, world.store.charges, clock).run())
        try:
            for percent in (50.0, 51.0, 52.0):
                computed.post({"battery.charge": percent})
                began = clock.monotonic()
                while (kept := (await world.store.charges.load()).get(ups.id)) is None or kept.percent != percent:
                    assert clock.monotonic() - began < 3 * PERIOD, "one look may be under way, the next one keeps it"
                    await clock.advance(PERIOD / 4)
                    await asyncio.sleep(0.02)
        finally:
            keeping.cancel()
