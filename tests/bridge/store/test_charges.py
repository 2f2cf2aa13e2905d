"""What the store remembers of batteries."""

from datetime import timedelta
from pathlib import Path

from ridethrough.clock import ManualClock
from ridethrough.site import DeviceId
from ridethrough.store import Charge, Store

ONE, TWO = DeviceId("one"), DeviceId("two")


async def test_charges_are_there_again_and_the_last_one_counts(tmp_path: Path) -> None:
    clock = ManualClock()
    async with Store.open(tmp_path / "ridethrough.db", clock) as store:
        assert await store.charges.load() == {}
        await store.charges.keep({ONE: Charge(99.95, clock.utc()), TWO: Charge(50.0, clock.utc())})
        later = clock.utc() + timedelta(seconds=1)
        await store.charges.keep({ONE: Charge(42.5, later)})
        await store.charges.keep({})
    async with Store.open(tmp_path / "ridethrough.db", clock) as store:
        assert await store.charges.load() == {ONE: Charge(42.5, later), TWO: Charge(50.0, clock.utc())}
