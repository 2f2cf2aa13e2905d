"""The bridge's devices in Home Assistant's device registry.

The bridge is a device of its own; what hangs on it (a UPS) is reached via it; what is part of that (outlets) becomes
its child devices. The registry knows one level of children, so parts of parts are children of the same device.
"""

from collections.abc import Callable, Iterable, Mapping

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.device_registry import (
    AnyDeviceEntry,
    ChildDeviceEntry,
    ChildDeviceInfo,
    DeviceEntry,
    DeviceInfo,
)

from .const import DOMAIN
from .wire import Device

MANUFACTURER = "Ridethrough"
BRIDGE = "bridge"
OWN: Mapping[str, str] = {BRIDGE: "Bridge", "feed": "Feed", "agent": "Shutdown agent", "plan": "Shutdown plan"}
"""What of ourselves is shown as a device, and what stands for its model."""


@callback
def device_info(device: Device) -> DeviceInfo:
    """How the registry describes a device that is no child."""
    own = OWN.get(device.kind)
    return DeviceInfo(
        identifiers={(DOMAIN, device.id)},
        name=device.name,
        manufacturer=device.manufacturer or (MANUFACTURER if own else None),
        model=device.model or own,
        serial_number=device.serial,
        sw_version=device.firmware,
    )


def main_ancestor(device: Device, devices: Mapping[str, Device]) -> Device | None:
    """Find the device of which this one is a part; None when it stands for itself.

    A parent that does not exist, or a ring of parents, counts as none.
    """
    lineage = [device]
    while (parent := devices.get(lineage[-1].parent or "")) is not None and parent.kind != BRIDGE:
        if parent in lineage:
            return None
        lineage.append(parent)
    return lineage[-1] if len(lineage) > 1 else None


class DeviceTree:
    """Keeps the device registry in step with the bridge, and finds devices by the bridge's ids."""

    def __init__(
        self, hass: HomeAssistant, entry: ConfigEntry, bridge_id: str, subentry_of: Callable[[str], str | None]
    ) -> None:
        """Work on the devices of `entry`; `subentry_of` says to which subentry a device belongs."""
        self._hass = hass
        self._subentry_of = subentry_of
        self._registry = dr.async_get(hass)
        self._entry = entry
        self._bridge_id = bridge_id
        self._infos: dict[str, DeviceInfo | ChildDeviceInfo] = {}

    def info(self, device: str) -> DeviceInfo | ChildDeviceInfo:
        """Return what an entity of this device says about it."""
        return self._infos[device]

    def subentry(self, device: str) -> str | None:
        """Return the subentry in which a registered device and its entities are."""
        entry = self._find_child(device) or self._find(device)
        return None if entry is None else entry.config_subentry_id

    def registered(self, device: str) -> bool:
        """Whether the registry has a device."""
        return (self._find_child(device) or self._find(device)) is not None

    def registry_id(self, device: str) -> str | None:
        """Return what the registry calls a device."""
        entry = self._find_child(device) or self._find(device)
        return None if entry is None else entry.id

    @callback
    def adopt(self) -> frozenset[str]:
        """Move devices into their subentries, only while none of their entities runs; returns who must come again.

        The registry moves no device that has children: they are taken out and put in again, and come back as they
        were, for it remembers ids and what a person changed.
        """
        again = set[str]()
        for device in tuple(dr.async_entries_for_config_entry(self._registry, self._entry.entry_id)):
            ids = [device_id for domain, device_id in device.identifiers if domain == DOMAIN]
            subentry = self._subentry_of(ids[0]) if ids else None
            if subentry is None or device.config_subentry_id == subentry:
                continue
            for child in dr.async_child_entries_for_config_entry(self._registry, self._entry.entry_id):
                if child.parent_device_id == device.id:
                    again |= {device_id for domain, device_id in child.identifiers if domain == DOMAIN}
                    self._registry.async_remove_device(child.id)
            entities = er.async_get(self._hass)
            for entity in er.async_entries_for_device(entities, device.id, include_disabled_entities=True):
                # Before the device: the registry removes entities that stay behind.
                entities.async_update_entity(entity.entity_id, config_subentry_id=subentry)
            self._registry.async_update_device(device.id, new_config_subentry_id=subentry)
        return frozenset(again)

    @callback
    def update(self, devices: Mapping[str, Device], changed: Iterable[str]) -> None:
        """Register those of `devices` that are new or have changed, the bridge first and children last."""
        parts = {device: main_ancestor(devices[device], devices) for device in changed}
        for device_id in sorted(parts, key=lambda item: (devices[item].kind != BRIDGE, parts[item] is not None)):
            device, whole = devices[device_id], parts[device_id]
            if whole is None:
                self._register(device)
            else:
                self._register_child(device, whole)

    @callback
    def remove(self, device: str) -> None:
        """Take a device out of the registry, and its entities with it."""
        self._infos.pop(device, None)
        if (entry := self._find_child(device) or self._find(device)) is not None:
            self._registry.async_remove_device(entry.id)

    @callback
    def remove_others(self, devices: Mapping[str, Device]) -> None:
        """Take out all devices that the bridge no longer has."""
        known = {(DOMAIN, device) for device in devices}
        # Children first: they would go with their parents, and then there would be nothing left to remove.
        registered: list[AnyDeviceEntry] = [
            *dr.async_child_entries_for_config_entry(self._registry, self._entry.entry_id),
            *dr.async_entries_for_config_entry(self._registry, self._entry.entry_id),
        ]
        for entry in registered:
            if not entry.identifiers & known:
                self._registry.async_remove_device(entry.id)

    def _find(self, device: str) -> DeviceEntry | None:
        return self._registry.async_get_device_by_identifier((DOMAIN, device), self._entry.entry_id)

    def _find_child(self, device: str) -> ChildDeviceEntry | None:
        return self._registry.async_get_child_device_by_identifier((DOMAIN, device), self._entry.entry_id)

    def _register(self, device: Device) -> None:
        info = device_info(device)
        if (child := self._find_child(device.id)) is not None:
            # What was a part and now stands for itself: the registry knows no such change.
            self._registry.async_remove_device(child.id)
        bridge = None if device.id == self._bridge_id else self._find(self._bridge_id)
        if bridge is not None:
            info["via_device_id"] = bridge.id
        self._infos[device.id] = info
        existing = self._find(device.id)
        subentry = self._subentry_of(device.id) if existing is None else existing.config_subentry_id
        self._registry.async_get_or_create(config_entry_id=self._entry.entry_id, config_subentry_id=subentry, **info)

    def _register_child(self, device: Device, whole: Device) -> None:
        parent = self._find(whole.id)
        assert parent is not None  # update() registers it first
        existing = self._find_child(device.id)
        moved = existing is not None and existing.parent_device_id != parent.id
        if (stale := existing if moved else self._find(device.id)) is not None:
            # The registry does not move devices between parents.
            self._registry.async_remove_device(stale.id)
        info = ChildDeviceInfo(identifiers={(DOMAIN, device.id)}, name=device.name, parent_device_id=parent.id)
        self._infos[device.id] = info
        self._registry.async_get_or_create_child(
            config_entry_id=self._entry.entry_id, config_subentry_id=parent.config_subentry_id, **info
        )
