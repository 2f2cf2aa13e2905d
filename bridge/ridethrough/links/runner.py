"""Keeps one link alive and turns what it reports into readings, conditions and the state of the connection."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from enum import StrEnum
import logging
import math
import random
from types import MappingProxyType

from ridethrough.clock import Clock
from ridethrough.site import (
    Alert,
    CommandError,
    CommandResult,
    Commands,
    Device,
    DeviceId,
    Lane,
    Memories,
    Site,
    Source,
    Value,
)
from ridethrough.tasks import Backoff

from .base import Conditions, Identity, Link, LinkError, Points

_LOGGER = logging.getLogger(__name__)

GRACE = 30.0
"""Seconds after the start within which a device that is known may begin to answer before it counts as lost."""

SETTLED = 60.0
"""Seconds of connection after which a link has told everything it can tell."""


class LinkState(StrEnum):
    """States of a connection and their colours (manual M:2398)."""

    INITIALISING = "initialising"
    NEVER_CONNECTED = "never_connected"
    """Blue: no answer since the start."""
    CONNECTED = "connected"
    """Green."""
    LOST = "lost"
    """Red: it was connected and is no longer."""
    DISABLED = "disabled"
    """Grey."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the configuration says of the devices that belong to another."""

    names: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """By kind and number; the link's own name for others."""
    corrections: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """What is added to points that are measured, by kind and key (manual M:5555)."""


class LinkRunner:
    """Owns one link: runs it, restarts it with back-off, and reports for it."""

    def __init__(
        self,
        link: Link,
        device: Device,
        site: Site,
        commands: Commands,
        clock: Clock,
        *,
        memories: Memories | None = None,
        granted: frozenset[str],
        mint: Callable[[str], DeviceId],
        backoff: Backoff | None = None,
        known: bool = False,
        parts: Parts | None = None,
    ) -> None:
        """`granted` are the command groups the configuration allows; `mint` gives a child's key its identity.

        `known` says that the device has been connected before, in an earlier run of the bridge. `parts` is what the
        configuration says of the children.
        """
        self._link = link
        self._site = site
        self._commands = commands
        self._clock = clock
        self._granted = granted
        self._mint = mint
        self._backoff = backoff or Backoff(first=0.5, cap=15.0)
        self._known = known
        self._began = clock.monotonic()
        self._device = device.id
        self._offers: list[Callable[[], None]] = []
        self.parts = Parts() if parts is None else parts
        self._shown: dict[DeviceId, frozenset[str]] = {}
        """The commands of each device that are there because of the link; others may offer further ones."""
        self.offered: frozenset[str] = frozenset()
        """Commands that the device and what belongs to it can carry out, granted or not."""
        site.put(device)
        if memories is not None:
            memories.offer(device.id, self._recall)
        self._link_lane = site.lane(device.id, None)
        self._report = DeviceReport(self, device.id, None)
        self._counters: dict[str, int] = {}
        self._posted_counters = 0.0
        self.state = LinkState.INITIALISING
        self._connected_at = 0.0
        self._said_unforeseen = False
        self._settled = False
        self._post_state()

    @property
    def site(self) -> Site:
        """Where it posts."""
        return self._site

    @property
    def link(self) -> Link:
        """The link that is run."""
        return self._link

    async def run(self) -> None:
        """Keep the link connected for ever; never raises for what happens on the line."""
        failures = 0
        conditions = self._site.conditions(self._device)
        self._link.remember(frozenset(key for key, state in conditions.items() if state.active))
        while True:
            self._connected_at = math.inf
            try:
                await self._link.run(self._report)
            except Exception as error:  # noqa: BLE001 - a link must not take the bridge down, whatever it meets
                if not _foreseen(error):
                    self._say_unforeseen(error)
                self._went(str(error) or type(error).__name__)
            else:
                self._went("the other end closed the connection")
            steady = self._clock.monotonic() - self._connected_at >= self._backoff.cap
            failures = 1 if steady else failures + 1
            await self._clock.sleep(self._backoff.delay(failures, random.random()))

    def disable(self) -> None:
        """Show that the configuration has switched this device off: grey, and nothing is asked of it."""
        self.state = LinkState.DISABLED
        self._post_state()

    # What the link reports

    def good(self) -> None:
        """Note that the device answers."""
        if self.state is LinkState.CONNECTED:
            if not self._settled and self._clock.monotonic() - self._connected_at >= SETTLED:
                self._settled = True
                self._site.settle(self._device)
            return
        if self.state is not LinkState.INITIALISING:
            _LOGGER.info("%s answers", self._name)
        self._said_unforeseen = False
        self._connected_at = self._clock.monotonic()
        self.state = LinkState.CONNECTED
        self._post_state()

    def count(self, counter: str, amount: int) -> None:
        """Count, and publish the counters at most once in ten seconds: they are not worth a revision each."""
        self._counters[counter] = self._counters.get(counter, 0) + amount
        now = self._clock.monotonic()
        if now - self._posted_counters >= 10.0:
            self._posted_counters = now
            self._post_counters()

    def identified(self, device_id: DeviceId, identity: Identity) -> None:
        """Keep what the device says of itself; offer the commands that are granted."""
        self.offered |= identity.commands
        device = self._site.devices[device_id]
        catalogue = self._site.catalogue
        offered = frozenset(
            key
            for key in identity.commands
            if (row := catalogue.command(device.kind, key)) is not None and row.group in self._granted
        )
        self._site.put(
            replace(
                device,
                manufacturer=identity.manufacturer or device.manufacturer,
                model=identity.model or device.model,
                serial=identity.serial or device.serial,
                firmware=identity.firmware or device.firmware,
                commands=(device.commands - self._shown.get(device_id, frozenset())) | offered,
            )
        )
        self._shown[device_id] = offered

    def child(self, parent_id: DeviceId, kind: str, number: str, name: str) -> DeviceReport:
        """Make a child device with an identity of its own, and a report for it."""
        parent = self._site.devices[parent_id]
        key = f"{parent.key}/{kind}-{number}"
        device_id = self._mint(key)
        if device_id not in self._site.devices:
            self._site.put(Device(device_id, key, kind, name, parent=parent.id))
        return DeviceReport(self, device_id, number, self.parts.corrections.get(kind, {}))

    def rename(self, device_id: DeviceId, name: str) -> None:
        """Take over what the device calls its child now."""
        self._site.put(replace(self._site.devices[device_id], name=name))

    # How it is done

    @property
    def _name(self) -> str:
        device = self._site.devices.get(self._device)
        return self._device if device is None else f"{device.name} ({device.key})"

    def _say_unforeseen(self, error: Exception) -> None:
        """Log one trace until the device answers again."""
        if not self._said_unforeseen:
            told = "The link of %s failed in a way nobody foresaw; it is started again"
            _LOGGER.error(told, self._name, exc_info=error)
        self._said_unforeseen = True

    def _went(self, reason: str) -> None:
        if self.state is LinkState.CONNECTED:
            self.state = LinkState.LOST
            _LOGGER.warning("%s is lost: %s", self._name, reason)
        elif self.state is LinkState.INITIALISING:
            self.state = LinkState.NEVER_CONNECTED
            _LOGGER.warning("%s cannot be reached: %s", self._name, reason)
        else:
            _LOGGER.debug("%s still cannot be reached: %s", self._name, reason)
        with self._site.transaction():
            self._report.lost()
            self._post_state()
            self._post_counters()

    def _post_state(self) -> None:
        # A condition that the journal knows as raised stays so until the device answers.
        known = self._site.conditions(self._device).get("communications_lost")
        waiting = self.state in (LinkState.INITIALISING, LinkState.NEVER_CONNECTED)
        restored = known is not None and known.active and waiting
        # A device that is new may still be in its box; one that was there before the bridge was started is missed.
        missed = self._known and waiting and self._clock.monotonic() - self._began >= GRACE
        self._link_lane.post(
            {"link.state": str(self.state)},
            {"communications_lost": self.state is LinkState.LOST or restored or missed},
        )

    def _post_counters(self) -> None:
        self._link_lane.post({f"link.{counter}": value for counter, value in self._counters.items()})

    def lane(self, device: DeviceId, *, slow: bool) -> Lane:
        """Open a writer's handle with the deadline of this link."""
        return self._site.lane(device, self._link.slow_deadline if slow else self._link.deadline, Source.MEASURED)

    async def _recall(self) -> tuple[Alert, ...]:
        self._check_connected()
        try:
            return await self._link.history()
        except (LinkError, OSError) as error:
            raise CommandError("no_answer", f"{self._name} did not answer: {error}") from error

    def _check_connected(self) -> None:
        if self.state is not LinkState.CONNECTED:
            raise CommandError("offline", f"{self._name} cannot be reached at the moment.")

    def offer(self, device: DeviceId, number: str | None) -> None:
        """Carry out commands given to this device."""

        async def perform(command: str, arguments: Mapping[str, Value]) -> CommandResult:
            self._check_connected()
            try:
                return await self._link.perform(command, arguments, number)
            except (LinkError, OSError) as error:
                raise CommandError("no_answer", f"{self._name} did not answer: {error}") from error

        self._offers.append(self._commands.offer(device, perform))

    def close(self) -> None:
        """Offer no commands any longer: the link has ended for good."""
        while self._offers:
            self._offers.pop()()


def _foreseen(error: Exception) -> bool:
    """Whether this, or everything in this group, is what happens on a line."""
    if isinstance(error, ExceptionGroup):
        return all(_foreseen(inner) for inner in error.exceptions)
    return isinstance(error, LinkError | OSError)


class DeviceReport:
    """Posts what a link reads of one device; implements `Report`."""

    def __init__(
        self,
        runner: LinkRunner,
        device: DeviceId,
        number: str | None,
        corrections: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        """Open the device's lanes and offer its commands; `corrections` are added to what is measured."""
        self._runner = runner
        self._corrections = corrections
        self.device = device
        self._status = runner.lane(device, slow=False)
        self._details = runner.lane(device, slow=True)
        self._children: dict[tuple[str, str], DeviceReport] = {}
        runner.offer(device, number)

    def identified(self, identity: Identity) -> None:
        """See `Report`."""
        self._runner.identified(self.device, identity)

    def status(self, points: Points, conditions: Conditions | None = None) -> None:
        """See `Report`."""
        with self._runner.site.transaction():
            self._status.post(self._corrected(points), conditions)
            self._runner.good()

    def details(self, points: Points, conditions: Conditions | None = None) -> None:
        """See `Report`."""
        self._details.post(self._corrected(points), conditions)

    def dropped(self, keys: list[str]) -> None:
        """See `Report`."""
        self._status.drop(keys)
        self._details.drop(keys)

    def count(self, counter: str, amount: int = 1) -> None:
        """See `Report`."""
        self._runner.count(counter, amount)

    def child(self, kind: str, number: str, name: str) -> DeviceReport:
        """See `Report`."""
        report = self._children.get((kind, number))
        name = self._runner.parts.names.get((kind, number), name)
        if report is None:
            report = self._children[kind, number] = self._runner.child(self.device, kind, number, name)
        self._runner.rename(report.device, name)
        return report

    def together(self) -> AbstractContextManager[None]:
        """See `Report`."""
        return self._runner.site.transaction()

    def _corrected(self, points: Points) -> Points:
        if not any(self._corrections.values()):
            return points
        return {
            key: value + self._corrections[key]
            if key in self._corrections and isinstance(value, int | float) and not isinstance(value, bool)
            else value
            for key, value in points.items()
        }

    def lost(self) -> None:
        """Mark everything that was reported as lost, children included: the link is gone."""
        self._status.lost()
        self._details.lost()
        for report in self._children.values():
            report.lost()


__all__ = ["DeviceReport", "LinkRunner", "LinkState", "Parts"]
