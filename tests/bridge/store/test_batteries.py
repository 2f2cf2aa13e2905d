"""What battery systems remember, on the disk."""

from pathlib import Path

import pytest

from ridethrough.battery.memory import MemoryFault
from ridethrough.site import DeviceId
from ridethrough.store import Store

FIRST, SECOND = DeviceId("a-1"), DeviceId("b-2")


async def test_each_part_of_each_system_is_kept_and_replaced_by_itself(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "r.db") as store:
        assert await store.batteries.load() == {}
        await store.batteries.keep(FIRST, {"discharge": "1", "charge": "2"})
        await store.batteries.keep(SECOND, {"discharge": "3"})
        await store.batteries.keep(FIRST, {"charge": "4"})
        await store.facts.put("other", "5")
    async with Store.open(tmp_path / "r.db") as store:
        assert await store.batteries.load() == {FIRST: {"discharge": "1", "charge": "4"}, SECOND: {"discharge": "3"}}


async def test_that_nothing_can_be_kept_is_said_in_the_words_of_battery_systems(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "r.db")
    async with store:
        pass
    with pytest.raises(MemoryFault):
        await store.batteries.keep(FIRST, {"discharge": "1"})
