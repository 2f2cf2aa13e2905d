"""Tries a device's link once, without anything being written."""

import logging

from ridethrough.catalogue import load_catalogue
from ridethrough.config import ConfigureError, DeviceConfig
from ridethrough.links import LinkError
from ridethrough.links.probe import PATIENCE, ProbeResult, probe
from ridethrough.site import Device, Quality

from .plant import Plant
from .unit import Unit, credentials, serial_port

_LOGGER = logging.getLogger(__name__)

type Data = dict[str, object]


class Trial:
    """Connects to a device as it shall be, and says what was read: `TestData` of the contract."""

    def __init__(self, plant: Plant) -> None:
        """Know what runs already: a serial port has room for one link only."""
        self._plant = plant

    async def run(self, config: DeviceConfig) -> Data:
        """Read the device once. Raises ConfigureError (unreachable, invalid)."""
        unit = self._plant.units.get(config.key)
        port = serial_port(config.link)
        user = None if port is None else self._plant.at_port(port)
        if user is not None and user is not unit:
            raise ConfigureError(
                "unreachable", f"{port} is already used by {user.config.name} ({user.config.key}).", "link"
            )
        if unit is not None and unit.connected:
            same = unit.config.link == config.link and credentials(unit.config) == credentials(config)
            if same or user is unit:
                return self._running(unit)
        elif unit is not None:
            # It does not answer anyway, and would only be in the way.
            async with unit.paused():
                return await self._probe(config)
        return await self._probe(config)

    async def _probe(self, config: DeviceConfig) -> Data:
        try:
            return _probed(await probe(config.link, credentials(config), self._plant.context, timeout=PATIENCE))
        except (LinkError, OSError) as error:
            raise ConfigureError("unreachable", str(error) or type(error).__name__) from error
        except ValueError as error:
            raise ConfigureError("invalid", str(error), "link") from error
        except Exception as error:
            _LOGGER.exception("The test of %s failed in a way nobody foresaw", config.key)
            raise ConfigureError("unreachable", "The test failed inside the bridge; its log says more.") from error

    def _running(self, unit: Unit) -> Data:
        """Say what is known of a device that answers already."""
        parts = list(self._plant.parts(unit))
        own = parts[0]
        return {
            "identity": _identity(own),
            "values": [row for part in parts for row in self._values(part, own)],
            "conditions": [
                {"device": _part(part, own), "key": key, "active": state.active}
                for part in parts
                for key, state in sorted(self._plant.site.conditions(part.id).items())
                if state.quality is Quality.GOOD
            ],
            "commands": sorted(unit.runner.offered),
            "complete": True,
            "running": True,
        }

    def _values(self, part: Device, own: Device) -> list[Data]:
        catalogue = load_catalogue()
        rows: list[Data] = []
        for key, reading in sorted(self._plant.site.readings(part.id).items()):
            point = catalogue.point(part.kind, key)
            if reading.good and point is not None:
                rows.append(
                    {
                        "device": _part(part, own),
                        "key": key,
                        "name": point.name,
                        "value": reading.value,
                        "unit": point.unit,
                    }
                )
        return rows


def _probed(result: ProbeResult) -> Data:
    return {
        "identity": _identity(result.identity),
        "values": [
            {
                "device": row.device,
                "key": row.point or row.key,
                "name": row.name,
                "value": row.text if row.value is None else row.value,
                "unit": row.unit,
            }
            for row in result.rows
            if row.quality in ("good", "not catalogued")
        ],
        "conditions": [{"device": row.device, "key": row.key, "active": row.active} for row in result.conditions],
        "commands": sorted({command for _, command in result.commands}),
        "complete": result.complete,
        "running": False,
    }


def _identity(told: object) -> Data:
    return {key: getattr(told, key) for key in ("manufacturer", "model", "serial", "firmware")}


def _part(part: Device, own: Device) -> str:
    """Return the name of what belongs to a device, as in outlet-2; nothing for the device itself."""
    return part.key.removeprefix(own.key).removeprefix("/")


__all__ = ["Trial"]
