"""The integration's own action: a command with its arguments."""

from homeassistant.const import ATTR_DEVICE_ID
from homeassistant.core import HomeAssistant, ServiceCall, callback
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv, service
import probatio

from .bridge import RidethroughConfigEntry
from .const import DOMAIN
from .entity import send_command

SERVICE_COMMAND = "command"
ATTR_COMMAND = "command"
ATTR_ARGUMENTS = "arguments"

COMMAND_SCHEMA = probatio.Schema(
    {
        probatio.Required(ATTR_DEVICE_ID): cv.string,
        probatio.Required(ATTR_COMMAND): cv.string,
        probatio.Optional(ATTR_ARGUMENTS, default=dict): {cv.string: probatio.Any(bool, int, float, str)},
    }
)


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Register the actions."""
    hass.services.async_register(DOMAIN, SERVICE_COMMAND, _command, schema=COMMAND_SCHEMA)


async def _command(call: ServiceCall) -> None:
    """Have a device carry out a command; what the bridge refuses is raised."""
    entry: RidethroughConfigEntry
    device, entry = service.async_get_device_and_config_entry(call.hass, DOMAIN, call.data[ATTR_DEVICE_ID])
    bridge = entry.runtime_data
    for domain, device_id in device.identifiers:
        if domain == DOMAIN and device_id in bridge.mirror.devices:
            await send_command(bridge, device_id, call.data[ATTR_COMMAND], call.data[ATTR_ARGUMENTS])
            return
    raise ServiceValidationError(
        translation_domain=DOMAIN,
        translation_key="unknown_device",
        translation_placeholders={"device": device.name or call.data[ATTR_DEVICE_ID]},
    )
