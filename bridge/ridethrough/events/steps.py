"""What is to be done because of an event, at a time or by a plan: noted before it is begun and after it has ended.

A step that was due, or begun, when the bridge was killed is done when it starts again; one that had been begun is
marked as a retry then, as nobody can tell whether it was done (DESIGN §4.5).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from ridethrough.config.actions import Action

from .event import Event


class StepState(StrEnum):
    """How far a step has come."""

    DUE = "due"
    STARTED = "started"
    DONE = "done"
    FAILED = "failed"
    DROPPED = "dropped"
    """Not done, because what it was for had ended, or the configuration no longer has it."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """What something is done for."""

    origin: str
    """`job:<key>`, `schedule:<key>`, `plan:<key>/<stage>`, `command` (by a person)."""
    event: Event | None = None
    actor: str = ""
    """Who runs it by hand."""
    test: bool = False
    """Run by a person to see whether it works; says so in what it sends."""
    drill: bool = False
    """Rehearsed: everything but the last step."""
    retry: bool = False
    """It may have been done before."""
    late: float = 0.0
    """Seconds by which it is late, because the bridge was not running when it became due; 0 when it is not."""

    @property
    def planned(self) -> bool:
        """Whether a plan wants it: plans decide themselves what is still meant after a restart."""
        return self.origin.startswith(PLAN)


PLAN = "plan:"
"""Before the key of a plan in an origin."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do, once."""

    key: str
    """Unique for ever, and the same whenever it is worked out again: `job:notify/1234/1`."""
    action: Action
    occasion: Occasion
    at: datetime
    """When it became due, UTC."""
    state: StepState = StepState.DUE
    attempts: int = 0
    message: str = ""
    """How it ended, in a sentence."""


class Steps(Protocol):
    """Where steps are kept, with what those who make them must remember. Its methods raise JournalError."""

    async def commit(
        self, steps: Sequence[Step], memory: Mapping[str, str | None], seen: int | None = None
    ) -> Sequence[Step]:
        """Write all of it durably, or nothing of it; return those of the steps that are new.

        `memory` puts one text in the place of another by key, or (None) forgets it. `seen` is the number of the last
        event that has been taken into account.
        """

    async def begin(self, key: str) -> int:
        """Note durably that a step is begun now, and return how often it has been begun."""

    async def end(self, key: str, state: StepState, message: str) -> None:
        """Note durably how a step has ended."""

    async def unfinished(self) -> Sequence[Step]:
        """Return the steps that are due or begun, in the order in which they were committed."""

    async def of(self, origin: str, limit: int = 100) -> Sequence[Step]:
        """Return the last steps whose origin is, or begins with, `origin`, newest first."""

    async def recall(self, prefix: str) -> Mapping[str, str]:
        """Return what is remembered under keys that begin with `prefix`."""

    async def seen(self) -> int | None:
        """Return the number of the last event that was taken into account, None before the first."""


class ActionError(Exception):
    """An action was not carried out; the message is a sentence for people."""

    def __init__(self, message: str, *, again: bool = False) -> None:
        """Say why, and whether it may work if it is tried again in a while."""
        super().__init__(message)
        self.again = again


class Performer(Protocol):
    """Who carries actions out: `jobs.Jobs`."""

    async def perform(self, action: Action, occasion: Occasion) -> str:
        """Do it and return in a sentence what was done; raises ActionError. It may take long and may be cancelled."""


__all__ = ["PLAN", "ActionError", "Occasion", "Performer", "Step", "StepState", "Steps"]
