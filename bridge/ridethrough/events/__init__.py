"""From conditions to events to jobs, and the journal that survives a crash."""

from .event import EdgeKind, Event, EventKind, Journal, JournalError
from .recorder import Recorder

__all__ = ["EdgeKind", "Event", "EventKind", "Journal", "JournalError", "Recorder"]
