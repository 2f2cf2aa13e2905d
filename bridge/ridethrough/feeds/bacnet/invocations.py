"""Numbers of the requests that we make ourselves: notifications that must be confirmed (ASHRAE 135 §5.4).

A peer takes a request for a repeated one as long as it remembers its number: it answers it, and does nothing. That
would lose an alarm without a word. So a number rests before it is used again, whatever the request is about.
"""

import random
from typing import Any

from ridethrough.clock import Clock

NUMBERS = 256
REST = 10.0
"""Seconds for which a number is not used again."""
MOST_ADDRESSES = 256
"""Whose numbers are known at a time; who has not been asked for the longest goes first."""
_NEVER = float("-inf")


class _Numbers:
    """Those of one address."""

    def __init__(self) -> None:
        # What a peer remembers from before our restart is not known.
        self.next = random.randrange(NUMBERS)
        self.used = [_NEVER] * NUMBERS


class Invocations:
    """Gives out the numbers."""

    def __init__(self, clock: Clock) -> None:
        """None has been used."""
        self._clock = clock
        self._addresses: dict[tuple[int | None, bytes], _Numbers] = {}

    def __len__(self) -> int:
        """How many addresses' numbers are known."""
        return len(self._addresses)

    async def take(self, address: Any) -> int:
        """Return the next number for a request to this address (the library's), once it has rested."""
        place = address.addrNet, bytes(address.addrAddr or b"")
        numbers = self._addresses.pop(place, None) or _Numbers()
        self._addresses[place] = numbers
        if len(self._addresses) > MOST_ADDRESSES:
            del self._addresses[next(iter(self._addresses))]
        number, numbers.next = numbers.next, (numbers.next + 1) % NUMBERS
        now = self._clock.monotonic()
        # It is taken before it is waited for: who asks meanwhile gets another.
        begin = numbers.used[number] = max(now, numbers.used[number] + REST)
        if begin > now:
            await self._clock.sleep(begin - now)
        return number


__all__ = ["REST", "Invocations"]
