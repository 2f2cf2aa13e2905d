"""Our tables as net-snmp's snmptable shows them by our own MIB files."""

import asyncio
from collections.abc import Sequence
import os
from pathlib import Path

import pytest

from ridethrough.feeds.snmp.mib_file import mib_files
from tests.bridge.feeds.rig import World
from tests.strangers import peer

from .agents import V2C, Agent, credentials, serving, user

BY_V3 = credentials(user("sha", "aes"))

pytestmark = pytest.mark.peer


async def table(agent: Agent, folder: Path, name: str, who: Sequence[str] = V2C) -> list[dict[str, str]]:
    """Run snmptable, with the MIB files where it finds no others; gives its rows, of which each has its index."""
    for file, text in mib_files().items():
        (folder / file).write_text(text)
    process = await asyncio.create_subprocess_exec(
        peer("snmptable"),
        *("-M", str(folder), "-m", "ALL", *who, "-Ci", "-Cf", "|", f"127.0.0.1:{agent.port}", name),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"SNMPCONFPATH": "/nowhere"},
    )
    out, complaint = await process.communicate()
    assert (process.returncode, complaint) == (0, b""), out + complaint
    title, _, heading, *rows = out.decode().splitlines()
    assert title.endswith(f"::{name}"), out
    return [dict(zip(heading.split("|"), row.split("|"), strict=True)) for row in rows]


@pytest.mark.parametrize("who", [V2C, BY_V3], ids=["v2c", "v3"])
async def test_phases_are_a_table(world: World, tmp_path: Path, who: list[str]) -> None:
    ups = world.ups()
    world.post(ups, {"input.voltage": None, "input.phases": 3, "input.frequency": 49.9})
    world.post(ups, {f"input.L{line}.voltage": 230.0 + line for line in (1, 2, 3)})
    async with serving(world) as agent:
        assert await table(agent, tmp_path, "upsInputTable", who) == [
            {
                "index": str(line),
                "upsInputFrequency": "499 0.1 Hertz",
                "upsInputVoltage": f"{230 + line} RMS Volts",
                "upsInputCurrent": "?",
                "upsInputTruePower": "?",
            }
            for line in (1, 2, 3)
        ]


async def test_alarms_are_a_table(world: World, tmp_path: Path) -> None:
    ups = world.ups()
    async with serving(world) as agent:
        world.post(ups, conditions={"overload": True, "battery_bad": True})
        rows = await table(agent, tmp_path, "upsAlarmTable")
        assert [row["upsAlarmDescr"].rpartition("::")[2] for row in rows] == [
            "upsAlarmBatteryBad",
            "upsAlarmOutputOverload",
        ]
        assert [row["index"] for row in rows] == ["1", "2"]


async def test_modules_strings_and_alarms_of_a_battery_system_are_tables(world: World, tmp_path: Path) -> None:
    system = world.device("battery-1", "battery_system")
    string = world.part(system, "battery_string", "1")
    world.post(string, {"string.voltage": 27.2, "string.current": -1.25}, {"thermal_runaway": True})
    for number, voltage in (("1", 13.65), ("2", 13.55)):
        world.post(world.part(system, "battery_module", number), {"module.voltage": voltage})
    async with serving(world) as agent:
        modules = await table(agent, tmp_path, "bacsModuleTable")
        assert [(row["index"], row["bacsModuleIndex"], row["bacsModuleVoltage"]) for row in modules] == [
            ("1", "1", "1365 0.01 V"),
            ("2", "2", "1355 0.01 V"),
        ]
        (string_row,) = await table(agent, tmp_path, "bacsStringTable")
        assert string_row["bacsStringCurrent"] == "-125 0.01 A"
        (alarm,) = await table(agent, tmp_path, "bacsAlarmTable")
        assert alarm["bacsAlarmDescr"].rpartition("::")[2] == "bacsAlarmThermalRunaway"


async def test_modules_of_a_ups_are_a_table_that_begins_where_they_do(world: World, tmp_path: Path) -> None:
    ups = world.ups()
    for number in ("0", "1"):
        world.post(world.part(ups, "ups_module", number), conditions={"general_fault": number == "1"})
    async with serving(world) as agent:
        rows = await table(agent, tmp_path, "upsModulesTable")
        assert [(row["index"], row["upsModuleId"], row["upsModuleStatus"]) for row in rows] == [
            ("0", "0", "normal"),
            ("1", "1", "fault"),
        ]
