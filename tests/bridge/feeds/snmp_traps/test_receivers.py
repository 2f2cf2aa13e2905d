"""What Debian's snmptrapd makes of our notifications."""

from pathlib import Path

import pytest

from ridethrough.config.feeds import SnmpReceiver
from tests.bridge.feeds.rig import World

from .rig import telling
from .trapd import USERS, Snmptrapd

pytestmark = pytest.mark.peer
UPS = ".1.3.6.1.2.1.33"
ADDED = f".1.3.6.1.6.3.1.1.4.1.0 = {UPS}.2.3"


@pytest.mark.parametrize("inform", [False, True], ids=["trap", "inform"])
async def test_v2c_is_understood(world: World, tmp_path: Path, inform: bool) -> None:
    ups = world.ups()
    async with (
        Snmptrapd(tmp_path / "trapd") as trapd,
        telling(world, SnmpReceiver("127.0.0.1", trapd.port, inform=inform)),
    ):
        await trapd.wait(1, ".1.3.6.1.6.3.1.1.5.1")
        world.post(ups, conditions={"overload": True})
        (line,) = await trapd.wait(1, ADDED)
    assert f"{UPS}.1.6.2.1.1.1 = 1\t" in line
    assert line.endswith(f"{UPS}.1.6.2.1.2.1 = {UPS}.1.6.3.8")
