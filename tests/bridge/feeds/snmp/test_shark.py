"""What tshark makes of the agent's packets."""

from pathlib import Path

import pytest

from ridethrough.sim.snmp_message import Pdu
from tests.bridge.feeds.rig import World
from tests.bridge.feeds.shark import capturing

from .agents import (
    BY_V2C,
    TABLE as WIDE,
    UPS,
    V1,
    V2C,
    WRITER,
    config,
    credentials,
    fill,
    question,
    serving,
    user,
    wide_table,
)

pytestmark = pytest.mark.peer


async def test_tshark_finds_nothing_malformed(world: World, tmp_path: Path) -> None:
    world.ups(commands=("beeper.mute",))
    fill(world, 20)
    async with serving(world, config(users=(user(), user("md5"), WRITER)), mibs=(wide_table(),)) as agent:
        ports = f"udp port {agent.port}"
        async with capturing(tmp_path, ports, f"udp.port=={agent.port},snmp") as capture:
            for who in (V1, V2C, credentials(user()), credentials(user("md5")), credentials(WRITER)):
                await agent.walk(who, "1.3.6.1.2.1.1")
                await agent.get(who, f"{UPS}.2.7.0")
            await agent.walk(V2C, WIDE, "snmpbulkwalk")
            await agent.set(BY_V2C, f"{UPS}.9.8.0", "i", "3")
            await agent.set(V2C, f"{UPS}.9.8.0", "i", "3")
            await agent.get(credentials(user("sha")), f"{UPS}.2.7.0")
            await agent.say(question(Pdu.GET_BULK, WIDE, numbers=(0, 10)))
        assert await capture.malformed() == []
        answers = await capture.packets(f"snmp && udp.srcport == {agent.port}", "frame.number")
        assert len(answers) > 60
        kinds = await capture.packets("snmp.data", "snmp.data")
        assert {"2", "8"} <= {kind for row in kinds for kind in row}
