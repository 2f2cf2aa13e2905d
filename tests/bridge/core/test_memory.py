"""What devices remember themselves, and who may read it."""

import pytest

from ridethrough.site import Alert, CommandError, DeviceId, Memories, Site

from .conftest import UPS

ALERTS = (Alert(1, "2026-01-02 03:04:05", "raised", "Utility failed"), Alert(2, "", "", "Restarted"))


async def test_history_is_read_anew_each_time(site: Site) -> None:
    asked = 0

    async def recall() -> tuple[Alert, ...]:
        nonlocal asked
        asked += 1
        return ALERTS[:asked]

    memories = Memories(site)
    memories.offer(UPS, recall)
    assert await memories.recall(UPS) == ALERTS[:1]
    assert await memories.recall(UPS) == ALERTS


@pytest.mark.parametrize(("device", "code"), [(DeviceId("x"), "unknown_device"), (UPS, "unknown_command")])
async def test_history_that_nobody_offers_is_an_error_with_a_reason(site: Site, device: DeviceId, code: str) -> None:
    with pytest.raises(CommandError) as caught:
        await Memories(site).recall(device)
    assert caught.value.code == code
