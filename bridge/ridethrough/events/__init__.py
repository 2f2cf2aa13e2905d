"""From conditions to events to jobs, and the journal that survives a crash."""

from .effect import Effect, Watch, effect_of
from .event import EdgeKind, Event, EventKind, Journal, JournalError
from .recorder import Recorder

__all__ = ["EdgeKind", "Effect", "Event", "EventKind", "Journal", "JournalError", "Recorder", "Watch", "effect_of"]
