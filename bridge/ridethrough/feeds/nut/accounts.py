"""Who may log in, and how often somebody may guess."""

from collections import OrderedDict
from collections.abc import Iterable
import hmac

from ridethrough.addresses import network
from ridethrough.clock import Clock
from ridethrough.config.feeds import NutUser

FREE = 5
"""Wrong passwords from one address that cost it nothing but the answer."""
EVERY = 1.0
"""Seconds that each further one costs."""
PATIENCE = 10.0
"""Seconds to wait for a turn at most; who would have to wait longer is refused without being looked at."""
ADDRESSES = 1024
"""Addresses that are remembered at most: they can be made up."""


class Accounts:
    """Compares names and passwords.

    Who guesses waits, and with him whoever logs in from the same address: were a right password answered at once, the
    wait would tell that the others were wrong. A connection whose password was right once never waits again. The memory
    is bounded.
    """

    def __init__(self, users: Iterable[NutUser], clock: Clock) -> None:
        """Nobody has guessed yet."""
        self._users = {user.name: user for user in users}
        self._clock = clock
        self._debts: OrderedDict[str, float] = OrderedDict()
        """Address to the monotonic time at which all is forgotten."""

    async def verify(self, address: str, name: str, password: str) -> NutUser | None:
        """Return the user, or None when there is none such or the password is wrong."""
        owner, now = network(address), self._clock.monotonic()
        debt = max(now, self._debts.get(owner, now))
        wait = debt - now - (FREE - 1) * EVERY
        if wait > PATIENCE:
            return None
        self._owe(owner, debt + EVERY, now)
        if wait > 0:
            await self._clock.sleep(wait)
        user = self._users.get(name)
        secret = password if user is None else user.password
        same = hmac.compare_digest(password.encode(errors="replace"), secret.encode())
        if user is None or not same:
            return None
        if owner in self._debts:
            self._debts[owner] -= EVERY
        return user

    def _owe(self, owner: str, until: float, now: float) -> None:
        self._debts[owner] = until
        self._debts.move_to_end(owner)
        while len(self._debts) > ADDRESSES or next(iter(self._debts.values())) <= now:
            self._debts.popitem(last=False)


__all__ = ["ADDRESSES", "EVERY", "FREE", "PATIENCE", "Accounts"]
