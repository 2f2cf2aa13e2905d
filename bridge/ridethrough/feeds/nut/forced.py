"""Forced shutdown: which UPSes a primary has declared to be going down, and until when that is so.

upsd keeps FSD until it is started again, which a computer that has been shut down does. The bridge goes on, so it must
know by itself when the shutdown is over: a server that has started again must not be told to shut down at once.
"""

import asyncio
from dataclasses import dataclass
import json
import logging
import math
from pathlib import Path

from ridethrough.clock import Clock
from ridethrough.feeds.base import Facts
from ridethrough.site import Change, DeviceId, Lane, Quality, Site, Source

from .status import FORCED, SOURCES

_LOGGER = logging.getLogger(__name__)

HOLD = 60.0
"""Seconds on mains after which FSD is over: secondaries ask every 5 s, and no server starts so quickly after an outage
whose end nobody saw. Mains that returns too early must not clear it: a primary goes on shutting down."""
SEEN = 15.0
"""Seconds that it lasts at least, so that every secondary has seen it: what upsmon's HOSTSYNC is unless set."""
LOOK = 1.0
"""Seconds between two looks while it is set anywhere."""
FACT = "feed.nut.forced"
"""What is remembered: on which devices it is set, and since when the computer that noted it has been running."""
BOOT = Path("/proc/sys/kernel/random/boot_id")
"""Where Linux tells one start of a computer from the next."""


def boot() -> str:
    """Tell one start of this computer from the next; empty where the system does not. It reads a file: use a thread."""
    try:
        return BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""


@dataclass(slots=True)
class _State:
    """How far a forced shutdown has come."""

    since: float
    """Monotonic seconds."""
    mains: float | None = None
    """Since when the UPS has been on mains, None while it is not."""
    dark: bool = False
    """Whether its output has been off since, or the UPS silent: then everything behind it was without power."""


class Forced:
    """Remembers where FSD is set, through restarts too.

    The condition `forced_shutdown` follows, unless the UPS itself tells it: so the journal has it, and jobs may be
    bound to it.
    """

    def __init__(self, site: Site, facts: Facts, clock: Clock, booted: str) -> None:
        """Begin with none: `load` reads what is remembered; `booted` is what `boot` says."""
        self._site = site
        self._facts = facts
        self._clock = clock
        self._booted = booted
        self._set: dict[DeviceId, _State] = {}
        self._lanes: dict[DeviceId, Lane] = {}
        self._changed = asyncio.Event()

    def __contains__(self, device: DeviceId) -> bool:
        """Whether it is set for a device."""
        return device in self._set

    def set(self, device: DeviceId) -> None:
        """Set it; clients see it from now on, even if it cannot be written down."""
        if device in self._set:
            return
        self._set[device] = _State(self._clock.monotonic())
        self._show(device, active=True)
        self._changed.set()

    async def load(self) -> None:
        """Read what is remembered.

        Where this computer has started since, so has what else was without power, some of it sooner: from the first
        moment on mains on it is over, else servers that have just started would shut down, for good.
        """
        text = await self._facts.get(FACT)
        if text is None:
            return
        found = json.loads(text)
        for device in found["devices"]:
            self.set(DeviceId(device))
        if found["boot"] != self._booted:
            for state in self._set.values():
                state.since, state.dark = -math.inf, True
        self._changed.clear()

    async def run(self) -> None:
        """Remember, and clear what is over, until cancelled."""
        withdraw = self._site.observe(self._observe)
        for device in self._set:
            self._show(device, active=True)
        self._look()
        try:
            while True:
                if self._changed.is_set():
                    await self._write_down()
                elif self._set:
                    await self._clock.sleep(LOOK)
                    self._look()
                else:
                    await self._changed.wait()
        finally:
            withdraw()
            # It is set still, but nobody follows it any more.
            for lane in self._lanes.values():
                lane.lost()

    # How it is done

    def _observe(self, change: Change) -> None:
        """See every state of an output, however short; cheap while nothing is set."""
        for device in self._set.keys() & change.devices.keys():
            self._show(device, active=True)
        if self._set and any(device in self._set for device, _ in change.conditions):
            self._look()

    def _look(self) -> None:
        now = self._clock.monotonic()
        for device, state in list(self._set.items()):
            if self._over(device, state, now):
                del self._set[device]
                self._show(device, active=False)
                self._changed.set()
                _LOGGER.info("The forced shutdown of %s is over", self._site.devices[device].key)

    def _over(self, device: DeviceId, state: _State, now: float) -> bool:
        found = self._site.devices.get(device)
        if found is None or found.kind not in SOURCES:
            return False
        condition, _, _ = SOURCES[found.kind]
        source = self._holds(device, condition)
        lit = self._holds(device, "output_active") is not False and not self._holds(device, "output_off")
        state.dark |= source is None or not lit
        if not lit or source is not (condition != "on_battery"):
            state.mains = None
            return False
        if state.mains is None:
            state.mains = now
        return now - state.since >= SEEN if state.dark else now - state.mains >= HOLD

    def _holds(self, device: DeviceId, condition: str) -> bool | None:
        state = self._site.conditions(device).get(condition)
        return state.active if state is not None and state.quality is Quality.GOOD else None

    def _show(self, device: DeviceId, *, active: bool) -> None:
        found = self._site.devices.get(device)
        if found is None or self._site.catalogue.condition(found.kind, FORCED) is None:
            return
        lane = self._lanes.get(device)
        if lane is None or not lane.alive:
            lane = self._lanes[device] = self._site.lane(device, None, Source.COMPUTED)
        lane.post(conditions={FORCED: active})

    async def _write_down(self) -> None:
        self._changed.clear()
        try:
            await self._facts.put(FACT, json.dumps({"boot": self._booted, "devices": sorted(self._set)}))
        except Exception as error:  # noqa: BLE001 - with a full disk a shutdown must go on all the same
            _LOGGER.warning("A forced shutdown would not outlast a restart of the bridge: %s", error)


__all__ = ["FACT", "HOLD", "SEEN", "Forced", "boot"]
