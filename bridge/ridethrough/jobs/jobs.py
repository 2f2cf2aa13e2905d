"""Carries actions out: a table from each kind of action to the module that knows how."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
import logging
from typing import Any, Literal, Protocol, override

from ridethrough.config.actions import (
    Action,
    AgentAction,
    CommandAction,
    DatagramAction,
    LogAction,
    MailAction,
    RemoteAction,
    SmsAction,
    SyslogAction,
    TrapAction,
    WakeOnLanAction,
    WebhookAction,
)
from ridethrough.events.steps import ActionError, Occasion

from .context import JobContext
from .datagram import Datagram
from .log import Log
from .mail import Mail
from .orders import Agents, Command, Trap
from .remote import Remote
from .sms import Sms
from .syslog import Syslog
from .wake_on_lan import WakeOnLan
from .webhook import Webhook

_LOGGER = logging.getLogger(__name__)


class Doer[A: Action](Protocol):
    """Knows how to carry out one kind of action."""

    async def perform(self, action: A, occasion: Occasion) -> str:
        """See `Performer`."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of action is carried out."""

    make: Callable[[JobContext], Doer[Any]]
    at_once: int
    """How many at the same time. Each kind has a queue of its own: a mail server that hangs must not keep a shutdown
    from its agents, and names that are looked up in vain must not take all of the loop's threads."""
    rehearsed: bool = False
    """Whether it is carried out in drills too, marked as such; the others are only noted."""


KINDS: Mapping[type[Action], Kind] = {
    LogAction: Kind(Log, 16, rehearsed=True),
    MailAction: Kind(Mail, 2, rehearsed=True),
    AgentAction: Kind(Agents, 32, rehearsed=True),
    DatagramAction: Kind(Datagram, 4),
    CommandAction: Kind(Command, 64),
    WakeOnLanAction: Kind(WakeOnLan, 8),
    SmsAction: Kind(Sms, 1, rehearsed=True),
    SyslogAction: Kind(Syslog, 4, rehearsed=True),
    TrapAction: Kind(Trap, 4, rehearsed=True),
    WebhookAction: Kind(Webhook, 4),
    RemoteAction: Kind(Remote, 4),
}


class Jobs:
    """Implements `events.steps.Performer`."""

    def __init__(self, context: JobContext) -> None:
        """Carry out what `context` permits; nothing is opened until it is needed."""
        self._context = context
        self._doers = {action: kind.make(context) for action, kind in KINDS.items()}
        self._queues = {
            (action, informs): Queue(kind.at_once) for action, kind in KINDS.items() for informs in (False, True)
        }

    async def perform(self, action: Action, occasion: Occasion) -> str:
        """Carry out an action and return in a sentence what was done; raises ActionError."""
        sort = type(action)
        if sort not in KINDS:
            raise ActionError(f"Nobody knows how to carry out {sort.__name__}.")
        if occasion.drill and not _rehearsed(action):
            return f"A drill: not done, only noted: {describe(action)}."
        queue = self._queues[sort, _informs(action)]
        if queue.waiting >= self._context.limits.waiting:
            raise ActionError(f"{queue.waiting} actions of the kind {action.title} wait already.", again=True)
        async with queue:
            try:
                return await self._doers[sort].perform(action, occasion)
            except ActionError:
                raise
            except Exception as error:
                _LOGGER.exception("A %s failed in a way nobody foresaw", action.title)
                raise ActionError(f"The {action.title} failed inside the bridge; its log says more.") from error


class Queue(asyncio.Semaphore):
    """Lets so many in at once, in the order in which they came, and knows how many wait."""

    def __init__(self, at_once: int) -> None:
        """Be empty."""
        super().__init__(at_once)
        self.waiting = 0

    @override
    async def acquire(self) -> Literal[True]:
        """Wait for a place."""
        self.waiting += 1
        try:
            return await super().acquire()
        finally:
            self.waiting -= 1


def _informs(action: Action) -> bool:
    """Whether it only tells somebody something; agents that do not take a message must not hold up their shutdown."""
    return action.verb == "message" if isinstance(action, AgentAction) else action.informs


def _rehearsed(action: Action) -> bool:
    """Whether a drill does it: what only informs is sent as a drill, and agents rehearse a shutdown themselves."""
    if isinstance(action, CommandAction) and action.command == "agent.drill":
        # By this the plan has an agent rehearse: without it a drill would pass without anybody having been asked.
        return True
    if isinstance(action, AgentAction):
        return action.verb in ("message", "shutdown")
    return KINDS[type(action)].rehearsed


def describe(action: Action) -> str:
    """Say what would be done."""
    match action:
        case CommandAction():
            return f"{action.command} of {action.device or 'the device of the event'}"
        case AgentAction():
            return f"agent.{action.verb} of {', '.join(action.agents) or 'all agents'}"
        case WakeOnLanAction():
            return f"{action.title} of {', '.join(action.macs)}"
        case WebhookAction():
            return f"{action.title} {action.webhook}"
        case RemoteAction():
            return f"{action.command} of {action.device} at {action.bridge}"
        case _:
            return action.title


__all__ = ["KINDS", "Doer", "Jobs", "Kind", "describe"]
