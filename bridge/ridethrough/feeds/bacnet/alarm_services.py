"""The services by which others look at our events and acknowledge them, which the library lacks (ASHRAE 135 §13)."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from bacpypes3.apdu import ComplexAckPDU, SimpleAckPDU, decode_max_apdu_length_accepted
from bacpypes3.errors import ExecutionError

from .condition_events import ConditionEvents, UnknownEventObject
from .encoding import object_number
from .event_encoding import event_information, moment_of
from .event_state import AcknowledgementError

AROUND_EVENTS = 7
"""Octets of an answer to GetEventInformation besides its entries: three of the packet, two tags, two for more-events."""


class AlarmServices:
    """Mixed into an application; it answers once `condition_events` is set.

    Acknowledging needs no grant: it changes what BACnet clients see of an event, and nothing of any device; who did so
    is in the journal. Who may reach the feed at all is a matter of its networks.
    """

    condition_events: ConditionEvents | None = None
    """Where events are."""

    async def do_AcknowledgeAlarmRequest(self, apdu: Any) -> None:
        """Acknowledge an event (§13.5). The process identifier is the other's affair."""
        application: Any = self
        obj = application.get_object_id(apdu.eventObjectIdentifier)
        if obj is None:
            raise ExecutionError("object", "unknownObject")
        if self.condition_events is None:
            raise ExecutionError("object", "noAlarmConfigured")
        try:
            self.condition_events.acknowledge(
                obj,
                int(apdu.eventStateAcknowledged),
                _moment(apdu.timeStamp),
                by=str(apdu.acknowledgmentSource),
                at=str(apdu.pduSource),
            )
        except UnknownEventObject as error:
            raise ExecutionError("object", "noAlarmConfigured") from error
        except AcknowledgementError as error:
            raise ExecutionError("services", error.code) from error
        await application.response(SimpleAckPDU(context=apdu))

    async def do_GetEventInformationRequest(self, apdu: Any) -> None:
        """Give as many events as fit in one packet, from behind the last one that the client has (§13.12)."""
        application: Any = self
        last = apdu.lastReceivedObjectIdentifier
        after = None if last is None else object_number(int(last[0]), int(last[1]))
        longest = min(
            decode_max_apdu_length_accepted(apdu.apduMaxResp), int(application.device_object.maxApduLengthAccepted)
        )
        events = () if self.condition_events is None else self.condition_events.event_summaries(after)
        fitting, more = _fitting(events, longest - AROUND_EVENTS)
        await application.response(_answer(apdu, event_information(fitting, more=more)))

    async def do_GetAlarmSummaryRequest(self, apdu: Any) -> None:
        """Give all alarms that are not normal (§13.10); many of them need a client that takes segments."""
        application: Any = self
        alarms = () if self.condition_events is None else self.condition_events.alarm_summaries()
        await application.response(_answer(apdu, b"".join(alarms)))


def _answer(request: Any, content: bytes) -> Any:
    answer = ComplexAckPDU(context=request)
    answer.put_data(content)
    return answer


def _fitting(entries: Iterable[bytes], room: int) -> tuple[list[bytes], bool]:
    """Take entries while they fit, at least one, and say whether there are more."""
    taken: list[bytes] = []
    for entry in entries:
        room -= len(entry)
        if room < 0 and taken:
            return taken, True
        taken.append(entry)
    return taken, False


def _moment(stamp: Any) -> datetime | None:
    """Read a stamp as we give them; None for another kind."""
    return None if stamp.dateTime is None else moment_of(stamp.dateTime.date, stamp.dateTime.time)


__all__ = ["AlarmServices"]
