"""What a client of another code base reads."""

from tests.bridge.feeds.rig import World

from .rig import DEVICE, a_stranger, serving


async def test_a_client_reads_the_ups(world: World) -> None:
    world.ups()
    async with serving(world) as served, a_stranger(served) as stranger:
        assert await stranger.read(f"device,{DEVICE}", "object-name") == "Test bridge"
        objects = await stranger.objects()
        charge = objects["ups-1.battery.charge"]
        assert await stranger.read(charge, "present-value") == 100.0
