"""The MIB files, as net-snmp and smilint read them."""

import asyncio
from pathlib import Path

import pytest

from ridethrough.feeds.snmp.alarm_table import UPS_MIB
from ridethrough.feeds.snmp.mib_file import MODULES, mib_files, module_text
from ridethrough.maps.objects import AlarmRow, Mib, load_alarms, load_mibs, under
from tests.peers.snmpd import READ, Snmpd
from tests.strangers import peer

MODULE = "RIDETHROUGH-UPS-MIB"
SERVED = [row for mib in load_mibs() if mib.name in ("rfc1628", "extension", "modules") for row in mib.rows]
NAMED = {row.oid: row.name for row in SERVED} | {
    alarm.oid: alarm.name for alarm in load_alarms().values() if under(alarm.oid, UPS_MIB)
}
"""What the maps call things."""


@pytest.fixture
def mibs(tmp_path: Path) -> Path:
    """Save the files where nothing else is."""
    folder = tmp_path / "mibs"
    folder.mkdir()
    for name, text in mib_files().items():
        (folder / name).write_text(text)
    return folder


async def said_by(program: str, *arguments: str | Path) -> str:
    """Run a stranger's program; what it says, complaints included."""
    process = await asyncio.create_subprocess_exec(
        peer(program),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"MIBS": "", "PATH": ""},
    )
    out, _ = await process.communicate()
    return out.decode()


def test_texts_are_the_same_each_time() -> None:
    first = dict(mib_files())
    mib_files.cache_clear()
    assert dict(mib_files()) == first
    assert list(first) == [f"{MODULE}.txt", "SNMPv2-SMI.txt", "SNMPv2-TC.txt", "SNMPv2-CONF.txt"]
    assert all(text.isascii() and max(map(len, text.splitlines())) < 160 for text in first.values())


@pytest.mark.peer
async def test_net_snmp_loads_everything_without_a_complaint(mibs: Path) -> None:
    quiet = await said_by("snmptranslate", "-M", mibs, "-m", "ALL", "-IR", "-On", "upsMIB")
    assert quiet.strip() == f".{UPS_MIB}"
    # With warnings on it only says that it does not need the definitions of macros.
    told = await said_by("snmptranslate", "-M", mibs, "-m", "ALL", "-Pw", "-Tp", "-IR", "upsMIB")
    lines = [line for line in told.splitlines() if not line.endswith("parsed and ignored).")]
    assert lines[0] == "+--upsMIB(33)"
    assert [line for line in lines[1:] if not line.startswith("   ")] == []
    for name in ("upsBatteryStatus(1)", "upsAlarmTable(2)", "upsAlarmThresholdAlarm(174)", "upsModuleStatus(2)"):
        assert name in told


@pytest.mark.peer
async def test_net_snmp_calls_every_object_as_the_maps_do(mibs: Path) -> None:
    oids = [f".{oid}" for oid in NAMED]
    told = await said_by("snmptranslate", "-M", mibs, "-m", MODULE, "-Os", *oids)
    assert dict(zip(NAMED, told.split(), strict=True)) == NAMED
    back = await said_by("snmptranslate", "-M", mibs, "-m", MODULE, "-IR", "-On", *NAMED.values())
    assert back.split() == oids


@pytest.mark.peer
async def test_traps_are_described_with_their_variables(mibs: Path) -> None:
    told = await said_by("snmptranslate", "-M", mibs, "-m", MODULE, "-Td", "-IR", "upsTrapOnBattery")
    assert "{ upsEstimatedMinutesRemaining, upsSecondsOnBattery, upsConfigLowBattTime }" in " ".join(told.split())


@pytest.mark.peer
async def test_smilint_finds_no_error(mibs: Path, tmp_path: Path) -> None:
    (tmp_path / "smi.conf").write_text(f"path {mibs}\n")
    assert await said_by("smilint", "-c", tmp_path / "smi.conf", "-l", "3", "-s", mibs / f"{MODULE}.txt") == ""


@pytest.mark.peer
async def test_a_walk_shows_names_and_words(mibs: Path, tmp_path: Path) -> None:
    async with Snmpd(tmp_path / "snmpd") as agent:
        told = await said_by(
            "snmpwalk", "-M", mibs, "-m", MODULE, "-Os", "-v2c", "-c", READ, f"127.0.0.1:{agent.port}", "upsObjects"
        )
    for line in (
        "upsIdentManufacturer.0 = STRING: ACME Power",
        "upsBatteryStatus.0 = INTEGER: batteryNormal(2)",
        "upsBatteryVoltage.0 = INTEGER: 546 0.1 Volt DC",
        "upsInputVoltage.1 = INTEGER: 231 RMS Volts",
        "upsOutputSource.0 = INTEGER: normal(3)",
        "upsTestId.0 = OID: upsTestNoTestsInitiated",
        "upsTestResultsSummary.0 = INTEGER: noTestsInitiated(6)",
    ):
        assert line in told.splitlines()


@pytest.mark.peer
async def test_a_battery_system_has_a_module_of_its_own(mibs: Path, tmp_path: Path) -> None:
    """As soon as a map has its objects; here one with a single object and a single alarm."""
    base = next(mib for mib in load_mibs() if mib.name == "modules")
    count = next(row for row in base.rows if row.name == "upsNumModules")
    row = count.__replace__(mib="bacs", oid=f"{UPS_MIB}.5.2.4", name="bacsNumModules", key=None)
    mib = Mib("bacs", "", f"{UPS_MIB}.5", (), None, (row,), None, None)
    alarm = AlarmRow(f"{UPS_MIB}.5.3.3.22", "bacsAlarmThermalRunaway", None, None)
    module = next(module for module in MODULES if module.name == "RIDETHROUGH-BACS-MIB")
    (mibs / f"{module.name}.txt").write_text(module_text(module, [mib], [alarm]))
    told = await said_by("snmptranslate", "-M", mibs, "-m", "ALL", "-IR", "-On", "bacsAlarmThermalRunaway")
    assert told.strip() == f".{UPS_MIB}.5.3.3.22"
    (tmp_path / "smi.conf").write_text(f"path {mibs}\n")
    said = await said_by("smilint", "-c", tmp_path / "smi.conf", "-l", "2", mibs / f"{module.name}.txt")
    assert said == ""
