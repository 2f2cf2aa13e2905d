"""Repairs of devices: conditions of which nobody should first learn when power is out."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback

from . import issues
from .mirror import Mirror
from .wire import Quality

CONDITIONS: Final[Mapping[str, tuple[str, str]]] = {
    "agent": ("agent_unpaired", ""),
    "plan": ("plan_too_long", "plan.problem"),
}
"""By kind of device, the condition that a person should put right, and the point that says more."""


class DeviceIssues:
    """Keeps the repairs in step with what the bridge says of its devices."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry, mirror: Mirror) -> None:
        """Follow the devices of a bridge."""
        self._hass = hass
        self._entry = entry
        self._mirror = mirror
        self._followed: dict[str, tuple[Callable[[], None], ...]] = {}
        mirror.on_structure(self._on_structure)

    def _on_structure(self, grown: Iterable[str], removed: Iterable[str]) -> None:
        for gone in removed:
            for end in self._followed.pop(gone, ()):
                end()
            issues.settle(self._hass, self._entry, gone)
        for device_id in grown:
            device = self._mirror.devices[device_id]
            if device.kind not in CONDITIONS:
                continue
            if device_id not in self._followed:
                condition, point = CONDITIONS[device.kind]
                look = partial(self._look, device_id, condition, point)
                self._followed[device_id] = (
                    self._mirror.on_condition(device_id, condition, look),
                    self._mirror.on_point(device_id, point, look),
                )
            self._look(device_id, *CONDITIONS[device.kind])

    @callback
    def _look(self, device_id: str, condition: str, point: str) -> None:
        device = self._mirror.devices.get(device_id)
        state = self._mirror.conditions(device_id).get(condition)
        if device is None or state is None or state.quality is not Quality.GOOD:
            return
        if not state.active:
            issues.settle(self._hass, self._entry, device_id)
            return
        said = self._mirror.points(device_id).get(point)
        words = "" if said is None or said.quality is not Quality.GOOD else str(said.value)
        issues.complain(self._hass, self._entry, condition, device, words)
