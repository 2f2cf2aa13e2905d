"""What the system health page shows of the bridges."""

from typing import Any

from homeassistant.components.system_health import SystemHealthRegistration
from homeassistant.core import HomeAssistant, callback

from .bridge import RidethroughConfigEntry
from .const import DOMAIN


@callback
def async_register(hass: HomeAssistant, register: SystemHealthRegistration) -> None:
    """Register the information."""
    register.async_register_info(_information)


async def _information(hass: HomeAssistant) -> dict[str, Any]:
    entries: list[RidethroughConfigEntry] = hass.config_entries.async_loaded_entries(DOMAIN)
    return {
        "bridges": len(entries),
        "connected": sum(entry.runtime_data.online for entry in entries),
        "devices": sum(len(entry.runtime_data.mirror.devices) for entry in entries),
    }
