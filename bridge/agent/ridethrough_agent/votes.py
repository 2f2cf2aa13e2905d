"""Who wants this computer down, and when that is enough. Pure: time is passed in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

FORGET = 86_400.0
"""Seconds after which a vote that is not repeated no longer counts: one sender's mishap of last week
must not make up half of today's shutdown."""

MOST = 64
"""Votes at a time; datagrams can seem to come from any listed address."""


@dataclass(frozen=True)
class Vote:
    """One sender wants a shutdown. Times are of the agent's monotonic clock, in seconds."""

    name: str
    """The sender's, for people."""
    since: float
    due: float
    """When its delay has passed."""
    repeated: float
    """When it was last heard."""
    reason: str = ""
    lost: bool = False
    """Not asked for: the sender is gone, and power was out when it was last heard."""


class Votes:
    """The votes of all senders. The shutdown is due as soon as `needed` of them are."""

    def __init__(self, needed: int, votes: dict[str, Vote] | None = None) -> None:
        """Begin with the `votes` that are remembered, by sender."""
        self.needed = needed
        self._votes = dict(votes or {})

    def takes(self, sender: str) -> bool:
        """Tell whether there is room for this sender's vote."""
        return sender in self._votes or len(self._votes) < MOST

    def ask(self, sender: str, name: str, now: float, delay: float = 0.0, reason: str = "", lost: bool = False) -> Vote:
        """Take a vote. One that is repeated keeps its first time: repeating must not put the shutdown off."""
        vote = Vote(name, now, now + delay, now, reason, lost)
        before = self._votes.get(sender)
        if before is not None:
            vote = replace(vote, since=before.since, due=min(before.due, vote.due), lost=before.lost and lost)
        self._votes[sender] = vote
        return vote

    def withdraw(self, sender: str, only_lost: bool = False) -> bool:
        """Take a sender's vote away; tells whether there was one. `only_lost` spares one that was asked for."""
        vote = self._votes.get(sender)
        if vote is None or (only_lost and not vote.lost):
            return False
        del self._votes[sender]
        return True

    def keep(self, wanted: Callable[[str], bool]) -> list[str]:
        """Drop the votes of all senders that are not `wanted`, and name those."""
        dropped = [sender for sender in self._votes if not wanted(sender)]
        return [self._votes.pop(sender).name for sender in dropped]

    def forget(self, now: float) -> list[str]:
        """Drop the votes that nobody has repeated for too long, and name their senders; one that is due stays."""
        if self.due is not None:
            return []
        old = [sender for sender, vote in self._votes.items() if now - max(vote.repeated, vote.due) > FORGET]
        return [self._votes.pop(sender).name for sender in old]

    @property
    def due(self) -> float | None:
        """When the shutdown command is to be run; nothing while too few want it."""
        if len(self._votes) < self.needed:
            return None
        return sorted(vote.due for vote in self._votes.values())[self.needed - 1]

    @property
    def names(self) -> list[str]:
        """Of the senders that want it."""
        return [vote.name for vote in self._votes.values()]

    @property
    def reasons(self) -> list[str]:
        """What the senders say, each once."""
        return list(dict.fromkeys(vote.reason for vote in self._votes.values() if vote.reason))

    def copy(self) -> dict[str, Vote]:
        """All votes by sender."""
        return dict(self._votes)


__all__ = ["FORGET", "Vote", "Votes"]
