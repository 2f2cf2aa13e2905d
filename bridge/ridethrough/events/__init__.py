"""From conditions to events to jobs, and the journal that survives a crash."""

from .effect import Effect, Watch, effect_of
from .event import EdgeKind, Event, EventKind, Journal, JournalError
from .pending import Pending, tell_unfinished
from .recorder import Recorder

__all__ = [
    "EdgeKind",
    "Effect",
    "Event",
    "EventKind",
    "Journal",
    "JournalError",
    "Pending",
    "Recorder",
    "Watch",
    "effect_of",
    "tell_unfinished",
]
