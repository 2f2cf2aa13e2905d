"""Home Assistant with this repository's integration, and a bridge on a real socket."""

import asyncio
from collections.abc import AsyncIterator, Callable

from homeassistant.config_entries import SIGNAL_CONFIG_ENTRY_CHANGED, ConfigEntry, ConfigEntryChange, ConfigEntryState
from homeassistant.const import MATCH_ALL
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers.dispatcher import async_dispatcher_connect
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

# Imported here so that Home Assistant, which looks in its configuration folder first, finds this repository's.
import custom_components.ridethrough as _integration  # noqa: F401
from tests.heartbeats import cancel_heartbeats

from .bridge_peer import BRIDGE_ID, BridgePeer

DOMAIN = "ridethrough"


@pytest.fixture(autouse=True)
def this_integration(request: pytest.FixtureRequest) -> None:
    """Let Home Assistant find `custom_components/ridethrough`."""
    # A recorder must be there before Home Assistant is.
    if "recorder_mock" in request.fixturenames:
        request.getfixturevalue("recorder_mock")
    request.getfixturevalue("enable_custom_integrations")


@pytest.fixture(autouse=True)
async def aiohttp_heartbeats() -> AsyncIterator[None]:
    """Leave no heartbeat of a WebSocket behind."""
    yield
    cancel_heartbeats()


@pytest.fixture
async def bridge(socket_enabled: None) -> AsyncIterator[BridgePeer]:
    """Run a bridge with a UPS that has an outlet."""
    peer = BridgePeer()
    await peer.start()
    yield peer
    await peer.stop()


@pytest.fixture
def entry(hass: HomeAssistant, bridge: BridgePeer) -> MockConfigEntry:
    """Make the config entry of that bridge, not set up yet."""
    found = entry_for(bridge)
    found.add_to_hass(hass)
    return found


@pytest.fixture
async def loaded(hass: HomeAssistant, entry: MockConfigEntry) -> MockConfigEntry:
    """Make the config entry of that bridge, and set it up."""
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    return entry


def entry_for(peer: BridgePeer, **data: object) -> MockConfigEntry:
    """Make a config entry as the config flow makes it."""
    return MockConfigEntry(
        domain=DOMAIN,
        title=peer.name,
        unique_id=BRIDGE_ID,
        data={"host": "127.0.0.1", "port": peer.port, "tls": False, "fingerprint": None, "token": "good-token"} | data,
    )


async def until(hass: HomeAssistant, happened: Callable[[], object]) -> None:
    """Wait until `happened`, which is asked after everything that happens in Home Assistant and to its entries."""
    news = asyncio.Event()

    @callback
    def listen(*_: Event | ConfigEntryChange | ConfigEntry) -> None:
        news.set()

    unsubscribe = hass.bus.async_listen(MATCH_ALL, listen)
    disconnect = async_dispatcher_connect(hass, SIGNAL_CONFIG_ENTRY_CHANGED, listen)
    try:
        async with asyncio.timeout(10):
            while not happened():
                await news.wait()
                news.clear()
    finally:
        unsubscribe()
        disconnect()


def shows(hass: HomeAssistant, entity_id: str, wanted: str) -> Callable[[], bool]:
    """Ask whether an entity's state is `wanted`."""

    def asked() -> bool:
        found = hass.states.get(entity_id)
        return found is not None and found.state == wanted

    return asked


def state_of(hass: HomeAssistant, entity_id: str) -> str | None:
    """Return an entity's state, None if there is no such entity."""
    found = hass.states.get(entity_id)
    return None if found is None else found.state


def status(entry: MockConfigEntry) -> ConfigEntryState:
    """Return how things stand with an entry now."""
    found: ConfigEntryState = entry.state
    return found
