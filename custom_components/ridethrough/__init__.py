"""The Ridethrough integration: a client of the bridge, and nothing else."""

from collections.abc import Mapping

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ConfigEntryAuthFailed, ConfigEntryNotReady
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.device_registry import AnyDeviceEntry
from homeassistant.helpers.typing import ConfigType

from . import issues
from .bridge import Bridge, RidethroughConfigEntry
from .card import async_setup_card, end_screens
from .catalogue import load_catalogue
from .const import DOMAIN, PLATFORMS
from .errors import (
    CertificateChanged,
    CertificateNotTrusted,
    DifferentBridge,
    RidethroughError,
    TokenRefused,
    VersionNotSupported,
)
from .journal import journal_store
from .outages import outage_store
from .services import async_setup_services

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)

SETUP_ERRORS: Mapping[type[RidethroughError], str] = {
    TokenRefused: "token_refused",
    VersionNotSupported: "version_not_supported",
    DifferentBridge: "different_bridge",
    CertificateChanged: "certificate_changed",
    CertificateNotTrusted: "certificate_not_trusted",
}
"""The translation of each error; what is not here is `cannot_connect`."""


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Offer the integration's actions, and its card to dashboards."""
    async_setup_services(hass)
    await async_setup_card(hass)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: RidethroughConfigEntry) -> bool:
    """Connect to a bridge, and show what it has."""
    catalogue = await hass.async_add_executor_job(load_catalogue)
    bridge = Bridge(hass, entry, catalogue)
    try:
        await bridge.connect()
    except RidethroughError as error:
        issues.report(hass, entry, error)
        raise _setup_error(entry, error) from error
    entry.runtime_data = bridge
    await bridge.settle()
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    bridge.begin_events()
    return True


async def async_unload_entry(hass: HomeAssistant, entry: RidethroughConfigEntry) -> bool:
    """Take the entities away and close the connection."""
    unloaded = await hass.config_entries.async_unload_platforms(entry, PLATFORMS)
    if unloaded:
        end_screens(hass, entry.runtime_data)
        await entry.runtime_data.disconnect()
    return unloaded


async def async_remove_entry(hass: HomeAssistant, entry: RidethroughConfigEntry) -> None:
    """Forget which events of the bridge were seen, and what there was to repair."""
    issues.clear(hass, entry)
    if entry.unique_id is not None:
        await journal_store(hass, entry.unique_id).async_remove()
        await outage_store(hass, entry.unique_id).async_remove()


async def async_remove_config_entry_device(
    hass: HomeAssistant, entry: RidethroughConfigEntry, device: AnyDeviceEntry
) -> bool:
    """Let a device be deleted by hand when the bridge no longer has it; that only a bridge we have met can tell."""
    if entry.state is not ConfigEntryState.LOADED:
        return False
    known = {(DOMAIN, device_id) for device_id in entry.runtime_data.mirror.devices}
    return not device.identifiers & known


def _setup_error(entry: RidethroughConfigEntry, error: RidethroughError) -> ConfigEntryAuthFailed | ConfigEntryNotReady:
    """Tell Home Assistant what to do about a bridge that cannot be set up: ask for a token, or try again later."""
    kind = ConfigEntryAuthFailed if isinstance(error, TokenRefused) else ConfigEntryNotReady
    return kind(
        translation_domain=DOMAIN,
        translation_key=SETUP_ERRORS.get(type(error), "cannot_connect"),
        translation_placeholders={"entry": entry.title, "error": str(error)},
    )
