"""What a command should bring about, and watching whether it does.

Many a UPS accepts a command and does nothing, or obeys long after it was asked (manual M:2430). Its link says at once
what it can say; whoever gave the command looks at the status for what that leaves open, whatever the protocol.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from ridethrough.catalogue import Catalogue
from ridethrough.clock import Clock
from ridethrough.site import Change, ConditionState, DeviceId, Quality, Site


@dataclass(frozen=True, slots=True)
class Effect:
    """A condition that tells that a command was obeyed."""

    condition: str
    active: bool


# Commands that the catalogue's switches do not explain already.
EFFECTS: Mapping[str, Effect] = {
    "test.battery.start": Effect("test_in_progress", True),
    "test.battery.start.quick": Effect("test_in_progress", True),
    "test.battery.start.deep": Effect("test_in_progress", True),
    "test.battery.stop": Effect("test_in_progress", False),
    "calibrate.start": Effect("calibrating", True),
    "calibrate.stop": Effect("calibrating", False),
    "shutdown.return": Effect("shutdown_pending", True),
    "shutdown.stayoff": Effect("shutdown_pending", True),
    "shutdown.default": Effect("shutdown_pending", True),
    "shutdown.stop": Effect("shutdown_pending", False),
}


def effect_of(catalogue: Catalogue, kind: str, command: str) -> Effect | None:
    """Find what tells that a command was obeyed; None where nothing does."""
    for switch in catalogue.switches:
        if kind in switch.kinds and command in (switch.on, switch.off):
            return Effect(switch.condition, command == switch.on)
    found = EFFECTS.get(command)
    return None if found is None or catalogue.condition(kind, found.condition) is None else found


class Watch:
    """Looks at one device for the effect of one command, from before the command is given until it is closed."""

    def __init__(self, site: Site, clock: Clock, device: DeviceId, effect: Effect | None) -> None:
        """Begin to look. What is so already, or is not told at all, can tell nothing of a new command."""
        self._site = site
        self._clock = clock
        self._device = device
        self._effect = effect
        self._began = clock.monotonic()
        self._shown = asyncio.Event()
        self.after: float | None = None
        """Seconds after which the effect showed, None if it has not."""
        known = self._state
        self._deaf = effect is None or known is None or known.active is effect.active
        # A thousand computers may be told to shut down at once: who can learn nothing need not look at every change.
        self._ignore: Callable[[], None] = (lambda: None) if self._deaf else site.observe(self._observe)

    def __enter__(self) -> Self:
        """Look until the end of the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Look no longer."""
        self._ignore()

    @property
    def tells(self) -> bool:
        """Whether the device tells at present that the command has had no effect."""
        state = self._state
        return not self._deaf and self.after is None and state is not None and state.quality is Quality.GOOD

    async def within(self, seconds: float) -> bool:
        """Wait until the effect shows, so many seconds at most; at once where nothing could show it."""
        if self._deaf:
            return False
        if self.after is None:
            waits = [asyncio.ensure_future(self._shown.wait()), asyncio.ensure_future(self._clock.sleep(seconds))]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
        return self.after is not None

    @property
    def _state(self) -> ConditionState | None:
        return None if self._effect is None else self._site.conditions(self._device).get(self._effect.condition)

    def _observe(self, change: Change) -> None:
        if self._effect is None or self._deaf or self.after is not None:
            return
        state = change.conditions.get((self._device, self._effect.condition))
        if state is not None and state.quality is Quality.GOOD and state.active is self._effect.active:
            self.after = self._clock.monotonic() - self._began
            self._shown.set()


__all__ = ["EFFECTS", "Effect", "Watch", "effect_of"]
