"""A house for each test."""

import asyncio
from collections.abc import AsyncIterator
import logging
from pathlib import Path
from typing import Any

from freezegun.api import FrozenDateTimeFactory
import pytest

# Home Assistant finds this repository's integration because it is imported already.
import custom_components.ridethrough as _integration  # noqa: F401
from tests.component.bridge_peer import BridgePeer
from tests.heartbeats import cancel_heartbeats

from .house import BEGIN, House, furnish


@pytest.fixture
async def house(
    hass_storage: dict[str, Any], socket_enabled: None, freezer: FrozenDateTimeFactory, tmp_path: Path
) -> AsyncIterator[House]:
    """Furnish a house; the test says what automations it has, and opens it."""
    # Hours pass in seconds: to write each second down would take longer than to live it.
    logging.getLogger("homeassistant").setLevel(logging.WARNING)
    # It cannot work out the time zone of a time that stands still.
    logging.getLogger("aiohttp.access").setLevel(logging.CRITICAL)
    asyncio.get_running_loop().set_debug(False)
    freezer.move_to(BEGIN)
    bridge = BridgePeer()
    await bridge.start()
    made = furnish(bridge, freezer, tmp_path)
    yield made
    if hasattr(made, "hass") and made.hass.is_running:
        await made.close()
    await bridge.stop()
    cancel_heartbeats()
