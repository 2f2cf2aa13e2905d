"""The application: the library's stack with our services in the place of its own."""

import asyncio
from collections.abc import Awaitable, Callable
import logging
from typing import Any

from bacpypes3.apdu import (
    AbortPDU,
    ConfirmedRequestPDU,
    ConfirmedServiceChoice,
    Error,
    ErrorPDU,
    RejectPDU,
    UnconfirmedServiceChoice,
    confirmed_request_types,
    unconfirmed_request_types,
)
from bacpypes3.app import Application, DeviceInfoCache
from bacpypes3.basetypes import ServicesSupported
from bacpypes3.comm import bind
from bacpypes3.errors import AbortException, ExecutionError, RejectException, UnrecognizedService
from bacpypes3.netservice import NetworkServiceAccessPoint, NetworkServiceElement

from ridethrough.config.feeds import BacnetConfig
from ridethrough.feeds.base import FeedContext, Traffic

from .alarm_services import AlarmServices
from .device import Device, NetworkPort
from .invocations import Invocations
from .network import Datagrams, Link, Paths
from .objects import Lean
from .orders import Writable, WriteServices
from .properties import ReadServices
from .subscriptions import Subscriptions, SubscriptionServices
from .time_sync import TimeSynchronization
from .transactions import Transactions

_LOGGER = logging.getLogger(__name__)

ANSWERS = frozenset({"do_IAmRequest", "do_IHaveRequest"})
"""What only matters while we ask for somebody, as the library does for a recipient that is known by its number."""
REMOVED = frozenset(
    {"do_ReadRangeRequest", "do_ConfirmedCOVNotificationRequest", "do_UnconfirmedCOVNotificationRequest"}
)
"""What the library has in name only, or for clients."""


class NetworkElement(NetworkServiceElement):
    """The network layer's own messages."""

    def NetworkNumberIs(self, adapter: Any, npdu: Any) -> None:
        """Let it pass: the configuration says which network this is, not whoever sends a packet."""


class BacnetApplication(
    AlarmServices,
    TimeSynchronization,
    ReadServices,
    WriteServices,
    SubscriptionServices,
):
    """Everything that a client can ask of the bridge."""

    def __init__(
        self,
        config: BacnetConfig,
        context: FeedContext,
        traffic: Traffic,
        device: Device,
        link: Link,
        datagrams: Datagrams,
    ) -> None:
        """Stack it up: `datagrams` are open already."""
        Application.__init__(self, device_info_cache=DeviceInfoCache())
        self.context = context
        self.allow = config.allow
        self.writables: dict[Any, Writable] = {}
        self.writing: set[asyncio.Task[None]] = set()
        self._traffic = traffic
        self.link = link
        self.asap = Transactions(device, self.device_info_cache, self._refused)
        self.nsap = NetworkServiceAccessPoint(router_info_cache=Paths())
        self.nse = NetworkElement()
        bind(self.nse, self.nsap)
        bind(self, self.asap, self.nsap)
        self.nsap.bind(link, net=config.network or None, address=datagrams.address)
        self.invocations = Invocations(context.clock)
        self.subscriptions = Subscriptions(context.clock, device.objectIdentifier, self.asap.sap_indication, self.ask)
        self.clock = context.clock
        self.add_object(device)
        self.add_object(NetworkPort(config, datagrams.address.addrPort))

    def add_object(self, obj: Any) -> None:
        """Have an object, of ours or of the library."""
        super().add_object(obj)
        self.device_object.listed_anew()

    def delete_object(self, obj: Lean) -> None:
        """Have an object no more, nor subscriptions to it."""
        super().delete_object(obj)
        self.device_object.listed_anew()
        self.subscriptions.forget(obj.objectIdentifier)

    async def ask(self, request: Any) -> Any:
        """Make a confirmed request and return what is answered. Raises what the peer says against it."""
        request.apduInvokeID = await self.invocations.take(request.pduDestination)
        return await self.request(request)

    def object_changed(self, changed: Lean) -> None:
        """Tell those who have subscribed to an object that it has changed."""
        self.subscriptions.changed(changed)

    def get_services_supported(self) -> Any:
        """Which requests are understood (§12.11.13); the library takes unconfirmed ones for confirmed ones."""
        supported = ServicesSupported([])
        understood = [
            *((ConfirmedServiceChoice(choice), request) for choice, request in confirmed_request_types.items()),
            *((UnconfirmedServiceChoice(choice), request) for choice, request in unconfirmed_request_types.items()),
        ]
        for choice, request in understood:
            name = f"do_{request.__name__}"
            if hasattr(self, name) and name not in REMOVED | ANSWERS:
                supported[getattr(supported, choice.attr)] = 1
        return supported

    async def indication(self, apdu: Any) -> None:
        """Answer a request; what goes wrong is counted and told, and never logged: strangers could fill the log."""
        name = f"do_{type(apdu).__name__}"
        if name in ANSWERS and not getattr(self, "_who_is_futures", None):
            return
        self._traffic.requests += 1
        confirmed = isinstance(apdu, ConfirmedRequestPDU)
        answer: Any
        try:
            await self._service(name)(apdu)
        except RejectException as error:
            answer = RejectPDU(reason=error.rejectReason, context=apdu) if confirmed else None
        except AbortException as error:
            answer = AbortPDU(True, apdu.apduInvokeID, error.abortReason, context=apdu) if confirmed else None
        except ExecutionError as error:
            answer = _error(apdu, error.errorClass, error.errorCode) if confirmed else None
        except Exception:
            _LOGGER.debug("A request by BACnet failed", exc_info=True)
            answer = _error(apdu, "device", "operationalProblem") if confirmed else None
        else:
            return
        if answer is None:
            self._refused()
        else:
            await self.response(answer)

    def _service(self, name: str) -> Callable[[Any], Awaitable[None]]:
        service = None if name in REMOVED else getattr(self, name, None)
        if service is None:
            raise UnrecognizedService
        return service  # type: ignore[no-any-return]  # the library says nothing of its types

    async def response(self, apdu: Any) -> None:
        """Answer."""
        if isinstance(apdu, ErrorPDU | RejectPDU | AbortPDU):
            self._refused()
        await Application.response(self, apdu)

    def close(self) -> None:
        """Let go of everything."""
        for task in self.writing:
            task.cancel()
        self.asap.close()
        self.link.close()

    def _refused(self) -> None:
        self._traffic.errors += 1


def _error(apdu: Any, kind: str, code: str) -> Any:
    return Error(service_choice=apdu.apduService, errorClass=kind, errorCode=code, context=apdu)


__all__ = ["BacnetApplication"]
