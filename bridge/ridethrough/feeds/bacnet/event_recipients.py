"""Tells recipients of events: one after the other to each, confirmed until it has confirmed, never more than fits."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
import logging
import random
from typing import Any

from bacpypes3.apdu import (
    AbortPDU,
    AbortReason,
    ConfirmedRequestPDU,
    ConfirmedServiceChoice,
    UnconfirmedRequestPDU,
    UnconfirmedServiceChoice,
)
from bacpypes3.comm import ApplicationServiceElement

from ridethrough.clock import Clock
from ridethrough.tasks import Backoff

from .event_encoding import for_process
from .invocations import Invocations
from .recipient_list import Recipient

_LOGGER = logging.getLogger(__name__)

MOST_WAITING = 1000
"""Notifications kept for one recipient; the oldest go first."""
MOST_OUTBOXES = 64
"""Recipients that are known at a time: those of the lists, and those whose last notifications are under way."""
PACE = 0.002
"""Seconds between two notifications to one recipient: a burst of packets is dropped by small devices."""
LOOKING = 3.0
"""Seconds in which a recipient that is named by its device must have said where it is."""
_RETRIES = Backoff(first=2.0, cap=60.0)
_CONFIRMED = ConfirmedServiceChoice.confirmedEventNotification
_UNCONFIRMED = UnconfirmedServiceChoice.unconfirmedEventNotification
_NO_RESPONSE = AbortReason(AbortReason.noResponse)


def _heed(answered: asyncio.Future[Any]) -> None:
    """Look at an answer for which nobody waits any more, so that asyncio does not complain of it."""
    if not answered.cancelled():
        answered.exception()


class _Unanswered(Exception):
    """A recipient has not answered."""


class _Refused(Exception):
    """A recipient has answered that it does not take it."""


class Outbox:
    """What one recipient is still to be told."""

    def __init__(self, application: Any, recipient: Recipient, clock: Clock, invocations: Invocations) -> None:
        """Nothing waits."""
        self._application = application
        self._invocations = invocations
        self._clock = clock
        self.recipient = recipient
        self.waiting: deque[bytes] = deque()
        self.sent = 0
        self.dropped = 0
        self._found: Any = None
        """Where it was when its device was last looked for."""
        self.problem: str | None = None
        """Why it cannot be told at the moment."""

    def put(self, notification: bytes) -> None:
        """Let a notification wait for its turn."""
        if len(self.waiting) >= MOST_WAITING:
            self.waiting.popleft()
            self.dropped += 1
        self.waiting.append(notification)

    async def empty(self) -> None:
        """Send until nothing waits. What is not answered is tried again, with longer and longer pauses."""
        failures = 0
        while self.waiting:
            notification = self.waiting[0]
            try:
                await self._send(for_process(self.recipient.process, notification))
            except (_Unanswered, OSError) as error:
                failures += 1
                self._found = None
                self._note(f"does not answer to notifications of alarms ({error}); they are tried again")
                await self._clock.sleep(_RETRIES.delay(failures, random.random()))
                continue
            except _Refused as error:
                self._note(f"refuses notifications of alarms: {error}")
                self.dropped += 1
            else:
                self.sent += 1
                self._recovered()
            failures = 0
            if self.waiting and self.waiting[0] is notification:
                self.waiting.popleft()
            await self._clock.sleep(PACE)

    def _note(self, problem: str) -> None:
        if self.problem is None:
            _LOGGER.warning("BACnet recipient %s %s", self.recipient.place, problem)
        self.problem = problem

    def _recovered(self) -> None:
        if self.problem is not None:
            self.problem = None
            _LOGGER.info(
                "BACnet recipient %s takes notifications again; %d were not delivered",
                self.recipient.place,
                self.dropped,
            )

    async def _send(self, content: bytes) -> None:
        address = self.recipient.address or self._found
        if address is None:
            address = self._found = await self._look()
        if not self.recipient.confirmed:
            packet = UnconfirmedRequestPDU(_UNCONFIRMED, destination=address)
            packet.put_data(content)
            await ApplicationServiceElement.request(self._application, packet)
            return
        packet = ConfirmedRequestPDU(_CONFIRMED, await self._invocations.take(address), destination=address)
        packet.put_data(content)
        device = self._application.device_object
        limit = (int(device.apduTimeout) / 1000 + 1) * (int(device.numberOfApduRetries) + 1)
        answered = self._application.request(packet)
        answered.add_done_callback(_heed)
        # It is not cancelled when we stop waiting: an answer that comes in that moment would fail inside the library.
        await asyncio.wait((answered,), timeout=limit)
        if not answered.done():
            raise _Unanswered("no answer")
        answer = None if answered.cancelled() else answered.exception()
        if isinstance(answer, AbortPDU) and answer.apduAbortRejectReason == _NO_RESPONSE:
            raise _Unanswered("no answer")
        if answer is not None:
            raise _Refused(str(answer))

    async def _look(self) -> Any:
        """Ask where a device is."""
        device = self.recipient.device
        found = await self._application.device_info_cache.get_device_info(device)
        if found is not None:
            return found.device_address
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOKING + 1):
                for answer in await self._application.who_is(device, device, timeout=LOOKING):
                    return answer.pduSource
        raise _Unanswered("nobody says to be this device")


class Recipients:
    """Everybody who is being told something. Who has nothing to be told costs nothing."""

    def __init__(self, application: Any, clock: Clock, invocations: Invocations) -> None:
        """Nobody is."""
        self._application = application
        self._clock = clock
        self._invocations = invocations
        self._outboxes: dict[Recipient, Outbox] = {}
        self._tasks: dict[Recipient, asyncio.Task[None]] = {}
        self._start: Callable[[Outbox], asyncio.Task[None]] | None = None

    @property
    def outboxes(self) -> tuple[Outbox, ...]:
        """What is known of recipients."""
        return tuple(self._outboxes.values())

    def tell(self, recipient: Recipient, notification: bytes) -> None:
        """Tell somebody."""
        outbox = self._outboxes.get(recipient)
        if outbox is None:
            self._forget_idle()
            outbox = Outbox(self._application, recipient, self._clock, self._invocations)
            self._outboxes[recipient] = outbox
        outbox.put(notification)
        self._wake(outbox)

    async def run(self) -> None:
        """Send until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._start = lambda outbox: tasks.create_task(outbox.empty(), name=outbox.recipient.place)
                for outbox in self.outboxes:
                    if outbox.waiting:
                        self._wake(outbox)
                await asyncio.Event().wait()
        finally:
            self._start = None
            self._tasks.clear()

    def _wake(self, outbox: Outbox) -> None:
        running = self._tasks.get(outbox.recipient)
        if self._start is not None and (running is None or running.done()):
            self._tasks[outbox.recipient] = self._start(outbox)

    def _forget_idle(self) -> None:
        """Make room: recipient lists can be written again and again. Those longest known go first, busy or not."""
        while len(self._outboxes) >= MOST_OUTBOXES:
            recipient = next(
                (one for one, box in self._outboxes.items() if not box.waiting), next(iter(self._outboxes))
            )
            del self._outboxes[recipient]
            task = self._tasks.pop(recipient, None)
            if task is not None:
                task.cancel()


__all__ = ["MOST_OUTBOXES", "MOST_WAITING", "Outbox", "Recipients"]
