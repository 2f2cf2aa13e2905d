"""The device object and its network port (ASHRAE 135 §12.11, §12.56; manual M:2020)."""

from collections.abc import Callable, Iterable
from datetime import datetime
import hashlib
import ipaddress
import time
from typing import Any, ClassVar, Protocol

from bacpypes3.basetypes import DeviceStatus, ObjectTypesSupported, Segmentation
from bacpypes3.constructeddata import ArrayOf, ListOf
from bacpypes3.errors import PropertyError
from bacpypes3.object import DeviceObject, NetworkPortObject
from bacpypes3.primitivedata import Boolean, Date, Integer, ObjectIdentifier, ObjectType, Time, Unsigned

from ridethrough.config.feeds import BacnetConfig

from .encoding import an_object, an_unsigned, object_number
from .objects import AnalogInput, BinaryInput, BinaryOutput, BinaryValue, Lean, MultiStateInput, TextValue, TimeValue

VENDOR = 999
"""ASHRAE keeps 999 to itself, so that it is no company's number; one of our own costs nothing and can be asked for."""
VENDOR_NAME = "Ridethrough"
REVISION = 22
"""Protocol_Revision: what the library implements."""
LONGEST_APDU = 1476
"""Octets that one packet holds over Ethernet (§J.2)."""
RETRIES = 3
SEGMENT_TIMEOUT = 2000
"""Milliseconds."""
INSTANCES = 4194303
"""How many numbers of devices there are: 0 to 4194302."""

_KINDS = (AnalogInput, BinaryInput, BinaryOutput, BinaryValue, MultiStateInput, TextValue, TimeValue)
_IDENTIFIERS = ArrayOf(ObjectIdentifier)


class Serving(Protocol):
    """What the device object tells of its application."""

    objectIdentifier: dict[Any, Any]  # noqa: N815 (the library's name)

    def get_services_supported(self) -> Any:
        """Which services it has."""

    def active_subscriptions(self) -> bytes:
        """Who has subscribed to what, encoded."""


def instance_of(bridge: str) -> int:
    """Work out the number of the device from the bridge's identity: the same for ever, 0 to 4194302."""
    return int.from_bytes(hashlib.sha256(bridge.encode()).digest()[:8]) % INSTANCES


class Device(Lean, DeviceObject):
    """The bridge as a BACnet device."""

    _COMPUTED: ClassVar[frozenset[str]] = frozenset({"objectList", "activeCovSubscriptions"})
    """What is encoded by hand, since it may be long."""
    _now: Callable[[], datetime]
    _services: Any = None
    _order_of_objects: list[Any] | None = None
    _whole_list: bytes | None = None

    objectType = ObjectType("device")  # noqa: N815
    systemStatus = DeviceStatus("operational")  # noqa: N815
    protocolVersion = Unsigned(1)  # noqa: N815
    protocolRevision = Unsigned(REVISION)  # noqa: N815
    maxApduLengthAccepted = Unsigned(LONGEST_APDU)  # noqa: N815
    segmentationSupported = Segmentation("segmented-transmit")  # noqa: N815
    maxSegmentsAccepted = Unsigned(2)  # noqa: N815 (the least that can be said; requests in segments are aborted)
    apduSegmentTimeout = Unsigned(SEGMENT_TIMEOUT)  # noqa: N815
    numberOfApduRetries = Unsigned(RETRIES)  # noqa: N815

    def __init__(self, config: BacnetConfig, instance: int, name: str, version: str, now: Callable[[], datetime]):
        """`now` is the wall clock in UTC."""
        super().__init__(
            objectIdentifier=("device", instance),
            objectName=name,
            vendorName=VENDOR_NAME,
            vendorIdentifier=VENDOR,
            modelName=config.model,
            firmwareRevision=version,
            applicationSoftwareVersion=version,
            description=config.description,
            location=config.location,
            apduTimeout=round(config.apdu_timeout * 1000),
            databaseRevision=0,
        )
        self._now = now

    @property
    def localDate(self) -> Any:
        """The date where the bridge stands."""
        here = self._now().astimezone()
        return Date((here.year - 1900, here.month, here.day, here.isoweekday()))

    @property
    def localTime(self) -> Any:
        """The time where the bridge stands."""
        here = self._now().astimezone()
        return Time((here.hour, here.minute, here.second, here.microsecond // 10_000))

    @property
    def utcOffset(self) -> Any:
        """Minutes from local standard time to UTC: negative in the east (§12.11.24)."""
        return Integer(time.timezone // 60)

    @property
    def daylightSavingsStatus(self) -> Any:
        """Whether it is summer time."""
        return Boolean(time.localtime(self._now().timestamp()).tm_isdst > 0)

    @property
    def protocolServicesSupported(self) -> Any:
        """Which requests are understood."""
        if self._services is None:
            self._services = self._application.get_services_supported()
        return self._services

    @property
    def protocolObjectTypesSupported(self) -> Any:
        """Which kinds of objects there can be."""
        bits = [0] * (max(int(ObjectType(name)) for name in ("device", "datetime-value", "network-port")) + 1)
        for kind in _object_types(type(one) for one in self._application.objectIdentifier.values()):
            bits[kind] = 1
        return ObjectTypesSupported(bits)

    @property
    def objectList(self) -> Any:
        """All objects."""
        return _IDENTIFIERS(list(self._application.objectIdentifier))

    @property
    def deviceAddressBinding(self) -> Any:
        """Nobody: it asks nobody."""
        kind = self._elements["deviceAddressBinding"]
        return kind([])

    @property
    def activeCovSubscriptions(self) -> Any:
        """Nothing but that there is such a property: it is encoded by hand."""
        return ListOf(ObjectIdentifier)([])

    def encoded(self, name: str, index: int | None = None) -> bytes:
        """Return a property as bytes. Raises PropertyError for what there is not."""
        if name not in self._COMPUTED:
            return super().encoded(name, index)
        application = self._application
        if name == "activeCovSubscriptions":
            if index is not None:
                raise PropertyError("propertyIsNotAnArray")
            return application.active_subscriptions()
        identifiers = application.objectIdentifier
        if index is None:
            if self._whole_list is None:
                self._whole_list = b"".join(an_object(object_number(*one)) for one in identifiers)
            return self._whole_list
        if index == 0:
            return an_unsigned(len(identifiers))
        return an_object(object_number(*self._nth(index)))

    def listed_anew(self) -> None:
        """Forget the order of the objects, since some have come or gone."""
        self._order_of_objects = self._whole_list = None

    def _nth(self, index: int) -> Any:
        if self._order_of_objects is None:
            self._order_of_objects = list(self._application.objectIdentifier)
        if not 0 < index <= len(self._order_of_objects):
            raise PropertyError("invalidArrayIndex")
        return self._order_of_objects[index - 1]

    @property
    def _application(self) -> Serving:
        serving: Any = self._app
        return serving  # type: ignore[no-any-return]  # the application is all of this


class NetworkPort(Lean, NetworkPortObject):
    """How the device is connected."""

    outOfService = Boolean(False)  # noqa: N815
    changesPending = Boolean(False)  # noqa: N815

    def __init__(self, config: BacnetConfig, port: int):
        """`port` is the one that is really used."""
        network = ipaddress.IPv4Interface(f"{config.listen}/{config.prefix}")
        mode = "foreign" if config.foreign is not None else "bbmd" if config.bbmd else "normal"
        super().__init__(
            objectIdentifier=("network-port", 1),
            objectName="BACnet/IP",
            statusFlags=[0, 0, 0, 0],
            reliability="no-fault-detected",
            networkType="ipv4",
            protocolLevel="bacnet-application",
            networkNumber=config.network,
            networkNumberQuality="configured" if config.network else "unknown",
            macAddress=network.ip.packed + port.to_bytes(2),
            apduLength=LONGEST_APDU,
            linkSpeed=0.0,
            bacnetIPMode=mode,
            ipAddress=network.ip.packed,
            ipSubnetMask=network.netmask.packed,
            bacnetIPUDPPort=port,
        )
        if config.foreign is not None:
            self.fdSubscriptionLifetime = config.foreign.ttl


def _object_types(kinds: Iterable[type]) -> set[int]:
    return {int(kind.objectType) for kind in {*kinds, *_KINDS}}  # type: ignore[attr-defined]


__all__ = ["Device", "NetworkPort", "instance_of"]
