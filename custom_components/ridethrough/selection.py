"""Which of the bridges' devices a target means: named, or those of entities, areas, floors and labels."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from homeassistant.config_entries import SIGNAL_CONFIG_ENTRY_CHANGED, ConfigEntry, ConfigEntryChange, ConfigEntryState
from homeassistant.const import CONF_OPTIONS, CONF_TARGET
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import (
    area_registry as ar,
    config_validation as cv,
    device_registry as dr,
    entity_registry as er,
    floor_registry as fr,
    target,
)
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.typing import ConfigType
import probatio

from .bridge import Bridge
from .const import DOMAIN

type Fields = Mapping[probatio.Marker, Any]
"""What a trigger or a condition asks besides its target."""

REGISTRIES: Final = (
    er.EVENT_ENTITY_REGISTRY_UPDATED,
    dr.EVENT_DEVICE_REGISTRY_UPDATED,
    ar.EVENT_AREA_REGISTRY_UPDATED,
    fr.EVENT_FLOOR_REGISTRY_UPDATED,
)
"""What may change what a target means; labels are changes of what bears them."""


def with_target(fields: Fields) -> Callable[[ConfigType], ConfigType]:
    """Return what checks a trigger or a condition that has a target and these fields."""
    target_schema = probatio.All(cv.TARGET_FIELDS, cv.has_at_least_one_key(*map(str, cv.TARGET_FIELDS)))
    return probatio.Schema(
        {
            probatio.Required(CONF_TARGET): target_schema,
            # Empty where every field may be left out; else what is missing is named.
            probatio.Optional(CONF_OPTIONS, default=dict): dict(fields),
        }
    )


@callback
def bridges(hass: HomeAssistant) -> Iterator[Bridge]:
    """Return the bridges that are set up."""
    for entry in hass.config_entries.async_loaded_entries(DOMAIN):
        yield entry.runtime_data


@callback
def selected(hass: HomeAssistant, chosen: Mapping[str, Any]) -> Iterator[tuple[Bridge, str]]:
    """Return the devices that a target means, with their bridges, as far as those are set up."""
    found = target.async_extract_referenced_entity_ids(
        hass, target.TargetSelection(dict(chosen)), primary_entities_only=False
    )
    devices, entities = dr.async_get(hass), er.async_get(hass)
    ids = set(found.referenced_devices)
    for entity_id in found.referenced | found.indirectly_referenced:
        entity = entities.async_get(entity_id)
        if entity is not None and entity.platform == DOMAIN and entity.device_id is not None:
            ids.add(entity.device_id)
    for registry_id in sorted(ids):
        device = devices.async_get(registry_id)
        entry = None if device is None else hass.config_entries.async_get_entry(device.config_entry_id or "")
        if device is None or entry is None or entry.domain != DOMAIN or entry.state is not ConfigEntryState.LOADED:
            continue
        bridge: Bridge = entry.runtime_data
        for domain, device_id in device.identifiers:
            if domain == DOMAIN and device_id in bridge.mirror.devices:
                yield bridge, device_id


class Selection:
    """What a target means, worked out when it is asked for and once for as long as nothing changes.

    A trigger is asked about every event; a bridge with hundreds of modules may tell hundreds at once.
    """

    def __init__(self, hass: HomeAssistant, chosen: Mapping[str, Any]) -> None:
        """Remember the target; `start()` follows the registries."""
        self._hass = hass
        self._chosen = chosen
        self._known: frozenset[tuple[str, str]] | None = None

    @callback
    def start(self) -> Callable[[], None]:
        """Follow the registries; returns what ends that."""

        @callback
        def changed(_event: Event[Any]) -> None:
            self._known = None

        @callback
        def entry_changed(_change: ConfigEntryChange, entry: ConfigEntry) -> None:
            if entry.domain == DOMAIN:
                self._known = None

        ends = [self._hass.bus.async_listen(registry, changed) for registry in REGISTRIES]
        ends.append(async_dispatcher_connect(self._hass, SIGNAL_CONFIG_ENTRY_CHANGED, entry_changed))

        @callback
        def end() -> None:
            for one in ends:
                one()

        return end

    @callback
    def __contains__(self, device: tuple[str, str]) -> bool:
        """Whether a device is meant: the bridge's id and the device's."""
        if self._known is None:
            self._known = frozenset((bridge.id, key) for bridge, key in selected(self._hass, self._chosen))
        return device in self._known
