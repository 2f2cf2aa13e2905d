"""The MIB files, as net-snmp and smilint read them."""

import asyncio
from pathlib import Path

import pytest

from ridethrough.feeds.snmp.agent import served
from ridethrough.feeds.snmp.alarm_table import UPS_MIB
from ridethrough.feeds.snmp.mib_file import mib_files
from ridethrough.maps.objects import load_alarms, under
from tests.peers.snmpd import READ, Snmpd
from tests.strangers import peer

MODULE, BATTERIES = "RIDETHROUGH-UPS-MIB", "RIDETHROUGH-BACS-MIB"
NAMED = {row.oid: row.name for mib in served() for row in mib.rows} | {
    alarm.oid: alarm.name
    for kind in ("ups", "battery_system")
    for alarm in load_alarms(kind).values()
    if under(alarm.oid, UPS_MIB)
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
    assert list(first) == [f"{MODULE}.txt", f"{BATTERIES}.txt", "SNMPv2-SMI.txt", "SNMPv2-TC.txt", "SNMPv2-CONF.txt"]
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
    told = await said_by("snmptranslate", "-M", mibs, "-m", "ALL", "-Os", *oids)
    assert dict(zip(NAMED, told.split(), strict=True)) == NAMED
    back = await said_by("snmptranslate", "-M", mibs, "-m", "ALL", "-IR", "-On", *NAMED.values())
    assert back.split() == oids


@pytest.mark.peer
async def test_traps_are_described_with_their_variables(mibs: Path) -> None:
    told = await said_by("snmptranslate", "-M", mibs, "-m", MODULE, "-Td", "-IR", "upsTrapOnBattery")
    assert "{ upsEstimatedMinutesRemaining, upsSecondsOnBattery, upsConfigLowBattTime }" in " ".join(told.split())


@pytest.mark.peer
@pytest.mark.parametrize("module", [MODULE, BATTERIES])
async def test_smilint_finds_no_error(mibs: Path, tmp_path: Path, module: str) -> None:
    (tmp_path / "smi.conf").write_text(f"path {mibs}\n")
    assert await said_by("smilint", "-c", tmp_path / "smi.conf", "-l", "3", "-s", mibs / f"{module}.txt") == ""


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
