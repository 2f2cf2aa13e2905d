"""Repairs: what only a person can put right about a bridge. Each goes away by itself once it is right."""

from collections.abc import Container

from awesomeversion import AwesomeVersion
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.loader import async_get_loaded_integration

from .const import API_MAX, DOMAIN
from .errors import CertificateChanged, CertificateNotTrusted, DifferentBridge, RidethroughError, VersionNotSupported
from .wire import Device, Hello

UPDATE_INTEGRATION = "update_integration"
"""The bridge is too new for us."""
UPDATE_BRIDGE = "update_bridge"
"""The bridge is too old for us."""
BRIDGE_NEWER = "bridge_newer"
"""They understand each other, but the bridge may have what we cannot show."""
DIFFERENT_BRIDGE = "different_bridge"
CERTIFICATE_CHANGED = "certificate_changed"
REMOVAL_FAILED = "removal_failed"
"""A device was removed in Home Assistant, but the bridge still has it. There is one for each such device."""
OF_DEVICES = ("agent_unpaired", "plan_too_long")
"""What the bridge says of a device that a person should put right; one for each such device."""
OF_CONNECTION = (UPDATE_INTEGRATION, UPDATE_BRIDGE, DIFFERENT_BRIDGE, CERTIFICATE_CHANGED)
"""What is settled as soon as there is a connection."""
ALL = (*OF_CONNECTION, BRIDGE_NEWER, REMOVAL_FAILED, *OF_DEVICES)


@callback
def report(hass: HomeAssistant, entry: ConfigEntry, error: RidethroughError) -> None:
    """Create the issue that belongs to an error, if one does."""
    match error:
        case VersionNotSupported(hello=hello):
            key = UPDATE_INTEGRATION if hello.api_min > API_MAX else UPDATE_BRIDGE
            _create(hass, entry, key, _versions(hass, hello))
        case DifferentBridge(hello=hello):
            _create(hass, entry, DIFFERENT_BRIDGE, {"name": hello.name})
        case CertificateChanged(fingerprint=fingerprint):
            _create(hass, entry, CERTIFICATE_CHANGED, {"fingerprint": fingerprint})
        case CertificateNotTrusted():
            _create(hass, entry, CERTIFICATE_CHANGED, {"fingerprint": "–"})


@callback
def connected(hass: HomeAssistant, entry: ConfigEntry, hello: Hello) -> None:
    """Take back what kept us from the bridge; and say so if it is of a newer release than we are."""
    for key in OF_CONNECTION:
        ir.async_delete_issue(hass, DOMAIN, _id(entry, key))
    ours = async_get_loaded_integration(hass, DOMAIN).version
    newer = ours is not None and _release(AwesomeVersion(hello.version)) > _release(ours)
    if newer or hello.api_max > API_MAX:
        _create(hass, entry, BRIDGE_NEWER, _versions(hass, hello), severity=ir.IssueSeverity.WARNING)
    else:
        ir.async_delete_issue(hass, DOMAIN, _id(entry, BRIDGE_NEWER))


@callback
def removal_failed(hass: HomeAssistant, entry: ConfigEntry, device: str, name: str, message: str) -> None:
    """Say that a device is still at the bridge, and why."""
    ir.async_create_issue(
        hass,
        DOMAIN,
        f"{_id(entry, REMOVAL_FAILED)}_{device}",
        is_fixable=False,
        severity=ir.IssueSeverity.WARNING,
        translation_key=REMOVAL_FAILED,
        translation_placeholders={"entry": entry.title, "name": name, "message": message},
    )


@callback
def removals(hass: HomeAssistant, entry: ConfigEntry, devices: Container[str]) -> None:
    """Take back what was said of devices that the bridge no longer has."""
    prefix = f"{_id(entry, REMOVAL_FAILED)}_"
    for domain, issue_id in tuple(ir.async_get(hass).issues):
        if domain == DOMAIN and issue_id.startswith(prefix) and issue_id.removeprefix(prefix) not in devices:
            ir.async_delete_issue(hass, DOMAIN, issue_id)


@callback
def complain(hass: HomeAssistant, entry: ConfigEntry, key: str, device: Device, message: str) -> None:
    """Say what is wrong with a device, one of OF_DEVICES."""
    ir.async_create_issue(
        hass,
        DOMAIN,
        f"{_id(entry, key)}_{device.id}",
        is_fixable=False,
        severity=ir.IssueSeverity.WARNING,
        translation_key=key,
        translation_placeholders={"entry": entry.title, "name": device.name, "key": device.key, "message": message},
    )


@callback
def settle(hass: HomeAssistant, entry: ConfigEntry, device: str) -> None:
    """Take back what was said of a device."""
    for key in OF_DEVICES:
        ir.async_delete_issue(hass, DOMAIN, f"{_id(entry, key)}_{device}")


@callback
def clear(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Take back all issues of an entry that is gone."""
    for key in ALL:
        ir.async_delete_issue(hass, DOMAIN, _id(entry, key))
    removals(hass, entry, ())
    prefixes = tuple(f"{_id(entry, key)}_" for key in OF_DEVICES)
    for domain, issue_id in tuple(ir.async_get(hass).issues):
        if domain == DOMAIN and issue_id.startswith(prefixes):
            ir.async_delete_issue(hass, DOMAIN, issue_id)


def _release(version: AwesomeVersion) -> tuple[int, int]:
    """Major and minor number, 0 for what is no number; a difference in the third matters to nobody."""
    return version.section(0), version.section(1)


def _versions(hass: HomeAssistant, hello: Hello) -> dict[str, str]:
    return {"bridge": hello.version, "integration": str(async_get_loaded_integration(hass, DOMAIN).version)}


def _create(
    hass: HomeAssistant,
    entry: ConfigEntry,
    key: str,
    placeholders: dict[str, str],
    severity: ir.IssueSeverity = ir.IssueSeverity.ERROR,
) -> None:
    ir.async_create_issue(
        hass,
        DOMAIN,
        _id(entry, key),
        is_fixable=False,
        severity=severity,
        translation_key=key,
        translation_placeholders={"entry": entry.title, **placeholders},
    )


def _id(entry: ConfigEntry, key: str) -> str:
    return f"{key}_{entry.entry_id}"
