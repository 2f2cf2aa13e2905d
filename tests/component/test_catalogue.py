"""What the catalogue says must be what Home Assistant takes: units, device classes, state classes."""

import json

from homeassistant.components.binary_sensor.const import BinarySensorDeviceClass
from homeassistant.components.sensor import SensorDeviceClass, SensorStateClass
from homeassistant.components.sensor.const import DEVICE_CLASS_STATE_CLASSES, DEVICE_CLASS_UNITS

from custom_components.ridethrough.catalogue import FILE

RAW = json.loads(FILE.read_text(encoding="utf-8"))
POINTS = {row["key"]: row for row in RAW["points"] if row["type"] != "bool"}


def test_home_assistant_takes_units_and_classes() -> None:
    assert len(POINTS) > 300
    for row in POINTS.values():
        if row["device_class"] is not None:
            device_class = SensorDeviceClass(row["device_class"])
            units = DEVICE_CLASS_UNITS.get(device_class)
            assert units is None or row["unit"] in units, row
            if row["state_class"] is not None:
                assert SensorStateClass(row["state_class"]) in DEVICE_CLASS_STATE_CLASSES[device_class], row
            assert (device_class is SensorDeviceClass.ENUM) == bool(row["options"]), row
            assert (device_class is SensorDeviceClass.TIMESTAMP) == (row["type"] == "time"), row
        if row["type"] == "text":
            assert row["unit"] is row["state_class"] is None, row


def test_device_classes_of_conditions_exist() -> None:
    for row in RAW["conditions"]:
        assert row["device_class"] is None or BinarySensorDeviceClass(row["device_class"])
