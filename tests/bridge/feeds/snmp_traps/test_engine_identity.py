"""Who the engine is, and how often it has started."""

import logging
from pathlib import Path
import uuid

import pytest

from ridethrough.feeds.snmp import engine_identity
from ridethrough.feeds.snmp.engine_identity import LATCHED, EngineIdentity, load_identity
from tests.bridge.feeds.rig import World, a_world

PREFIX = "80001f8803"
GIVEN, OTHER, LOCAL = "0030d616bbd4", "001122334455", "0242ac110002"
"""Two addresses of makers, and one that software has made up."""


class Computer:
    """The network interfaces that this computer is to have."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """None yet; nor does the rest of the system know an address."""
        self._folder = folder
        monkeypatch.setattr(engine_identity, "_INTERFACES", folder)
        monkeypatch.setattr(uuid, "getnode", lambda: 0x03_00_00_00_00_01)

    def has(self, name: str, address: str, *, hardware: bool = True) -> None:
        """Give it an interface."""
        interface = self._folder / name
        interface.mkdir(parents=True, exist_ok=True)
        (interface / "address").write_text(":".join(address[at : at + 2] for at in range(0, len(address), 2)) + "\n")
        if hardware:
            (interface / "device").touch()


@pytest.fixture
def computer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Computer:
    """Make a computer without network interfaces."""
    return Computer(tmp_path / "net", monkeypatch)


async def test_id_is_the_prefix_and_the_address_of_the_hardware(world: World, computer: Computer) -> None:
    computer.has("lo", "000000000000", hardware=False)
    computer.has("br0", OTHER, hardware=False)
    computer.has("docker0", LOCAL, hardware=False)
    computer.has("eth0", GIVEN)
    assert await load_identity(world.context) == EngineIdentity(bytes.fromhex(PREFIX + GIVEN), 1)


async def test_id_stays_when_the_network_card_changes(world: World, computer: Computer) -> None:
    computer.has("eth0", GIVEN)
    first = await load_identity(world.context)
    computer.has("eth0", OTHER)
    assert await load_identity(world.context) == EngineIdentity(first.engine_id, 2)


@pytest.mark.parametrize("address", [None, LOCAL, "010000000001", "nonsense", "0011"], ids=str)
async def test_id_without_an_address_of_a_maker_is_the_bridge_s_own(
    tmp_path: Path, computer: Computer, address: str | None
) -> None:
    if address is not None:
        computer.has("eth0", address)
    found = []
    for number in (1, 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        async with a_world(folder) as world:
            identity = await load_identity(world.context)
            found.append(identity.engine_id)
            # Marked as given by no maker, and of one station.
            assert identity.engine_id[:5].hex() == PREFIX
            assert identity.engine_id[5] & 3 == 2
            assert len(identity.engine_id) == 11
    assert found[0] != found[1]


async def test_starts_are_counted_and_kept(tmp_path: Path, computer: Computer) -> None:
    computer.has("eth0", GIVEN)
    for boots in (1, 2, 3):
        async with a_world(tmp_path) as world:
            assert (await load_identity(world.context)).boots == boots
            assert await world.context.facts.get("snmp.engine_boots") == str(boots)


@pytest.mark.parametrize("boots", [str(LATCHED), str(LATCHED - 1), "damaged", "-4"], ids=str)
async def test_engine_that_cannot_count_takes_a_new_id(
    world: World, computer: Computer, caplog: pytest.LogCaptureFixture, boots: str
) -> None:
    caplog.set_level(logging.WARNING)
    computer.has("eth0", GIVEN)
    before = await load_identity(world.context)
    await world.context.facts.put("snmp.engine_boots", boots)
    after = await load_identity(world.context)
    assert after.engine_id != before.engine_id
    assert after.boots == 1
    assert f"a new engine id, {after.engine_id.hex()}" in caplog.text
    assert await load_identity(world.context) == EngineIdentity(after.engine_id, 2)


async def test_the_last_start_but_one_still_counts(world: World, computer: Computer) -> None:
    computer.has("eth0", GIVEN)
    before = await load_identity(world.context)
    await world.context.facts.put("snmp.engine_boots", str(LATCHED - 2))
    assert await load_identity(world.context) == EngineIdentity(before.engine_id, LATCHED - 1)


@pytest.mark.parametrize("damaged", ["", "xyz", "80"], ids=["empty", "no hex", "too short"])
async def test_a_damaged_id_is_replaced_and_its_starts_go_on(world: World, computer: Computer, damaged: str) -> None:
    computer.has("eth0", GIVEN)
    before = await load_identity(world.context)
    await world.context.facts.put("snmp.engine_id", damaged)
    assert await load_identity(world.context) == EngineIdentity(before.engine_id, 2)
