"""Carries out commands: writes in order, under a lock where there is one, and looks whether the UPS does it."""

from collections.abc import Mapping

from ridethrough.clock import Clock
from ridethrough.links.base import LinkError
from ridethrough.site import CommandError, CommandResult

from .agent import Agent
from .options import SnmpOptions
from .orders import Order, holds, refusal
from .values import number_of
from .writing import Write, Written, write

CONFIRMATION = 5.0
"""Seconds within which a UPS must show that it does what it was told, to be called confirmed."""
CONFIRMATION_INTERVAL = 0.5
"""Seconds between two looks at that."""
LOCK_TRIES = 3
"""Attempts at a test-and-increment lock that others want too."""


class Control:
    """Gives orders to one agent."""

    def __init__(self, agent: Agent, address: str, options: SnmpOptions, clock: Clock) -> None:
        """`agent` is read, `address` is written to with the same credentials."""
        self._agent = agent
        self._address = address
        self._options = options
        self._clock = clock

    async def carry_out(self, command: str, order: Order, names: Mapping[str, str]) -> CommandResult:
        """Write what an order takes; `names` are those of the objects. Raises CommandError, RefusedError if refused."""
        await self._write(order, names)
        if order.shown is None:
            told = f"{self._options} has accepted {command}; it has no object that would show it."
            return CommandResult(told, confirmed=False)
        oid, wanted = order.shown
        until = self._clock.monotonic() + CONFIRMATION
        while True:
            try:
                number = number_of((await self._agent.get([oid])).get(oid))
            except LinkError as error:
                raise CommandError("no_answer", f"{command} was sent; then this happened: {error}") from error
            if number is not None and holds(number, wanted):
                return CommandResult(f"{self._options} has carried out {command}.")
            if self._clock.monotonic() >= until:
                break
            await self._clock.sleep(CONFIRMATION_INTERVAL)
        says = "nothing" if number is None else f"{number:g}"
        return CommandResult(
            f"{self._options} has accepted {command}, but {names.get(oid, oid)} does not show it after "
            f"{CONFIRMATION:g} s (it says {says}).",
            confirmed=False,
        )

    async def _write(self, order: Order, names: Mapping[str, str]) -> None:
        """Set the objects one after the other, and stop at the first that is refused."""
        if order.guard is not None:
            self._check(await self._guarded(order.guard, order.writes), order, names)
            return
        for number, one in enumerate(order.writes, 1):
            written = await write(self._address, self._options, [one])
            self._check(Written(written.status, number if written.at else 0), order, names)

    async def _guarded(self, guard: str, writes: tuple[Write, ...]) -> Written:
        """Write together with a test-and-increment lock: nobody else may have begun a test meanwhile (RFC 1628 §3.7)."""
        written = Written("inconsistentValue")
        for _ in range(LOCK_TRIES):
            lock = number_of((await self._agent.get([guard])).get(guard))
            if lock is None:
                return await write(self._address, self._options, writes)
            written = await write(self._address, self._options, [Write(guard, int(lock)), *writes])
            # The lock was the first: the others count from there.
            taken = written.at == 1 and written.status in {"inconsistentValue", "badValue"}
            written = Written(written.status, max(0, written.at - 1))
            if not taken:
                break
        return written

    def _check(self, written: Written, order: Order, names: Mapping[str, str]) -> None:
        if written.status == "noError":
            return
        user = self._options.user
        who = "this community" if user is None else f"user {user.name!r}"
        raise refusal(written, order, str(self._options), who, names)


__all__ = ["Control"]
