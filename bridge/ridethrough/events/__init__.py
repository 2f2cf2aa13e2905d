"""From conditions to events to jobs, and the journal that survives a crash."""

from .effect import Effect, Watch, effect_of
from .event import EdgeKind, Event, EventKind, Journal, JournalError
from .orders import Actor, Order, OrderLimits, Orders, Outcome, giver
from .pending import Pending, tell_unfinished
from .recorder import Recorder

__all__ = [
    "Actor",
    "EdgeKind",
    "Effect",
    "Event",
    "EventKind",
    "Journal",
    "JournalError",
    "Order",
    "OrderLimits",
    "Orders",
    "Outcome",
    "Pending",
    "Recorder",
    "Watch",
    "effect_of",
    "giver",
    "tell_unfinished",
]
