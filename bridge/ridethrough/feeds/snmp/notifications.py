"""What managers are told without asking: that the agent has started, and what happens to the UPS (RFC 1628 §3.2)."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from ridethrough.config.feeds import SnmpConfig, SnmpReceiver
from ridethrough.feeds.base import FeedContext, Traffic
from ridethrough.feeds.directory import Dependents, Need, Subject
from ridethrough.maps.objects import ObjectRow, load_mibs, under
from ridethrough.site import Change, CommandError

from .alarm_table import UPS_MIB, AlarmChange, AlarmEntry, AlarmTable
from .ber import Tag
from .engine_identity import EngineIdentity
from .receivers import CommunityVoice, Receiver, UserVoice
from .trap_message import STANDARD, Binding, Notification

REPEAT = 60.0
"""Seconds after which a UPS that is still on battery is told of again (RFC 1628 upsTrapOnBattery)."""
TEST_PATIENCE = 6.0
"""Seconds for which a test waits to hear whether its notification has arrived."""
_CONFIGURED = "snmp.configured"
_TRAPS = f"{UPS_MIB}.2"
_WELL_KNOWN = f"{UPS_MIB}.1.6.3"
NO_TEST = f"{UPS_MIB}.1.7.7.1"
"""upsTestNoTestsInitiated."""
NOT_ADDED = frozenset({f"{_WELL_KNOWN}.2", f"{_WELL_KNOWN}.24"})
"""On battery has a trap of its own, and a test is told of when it is over (RFC 1628 upsTrapAlarmEntryAdded)."""
NOT_REMOVED = frozenset({f"{_WELL_KNOWN}.24"})
"""As upsTrapAlarmEntryRemoved has it."""
_ON_BATTERY, _SYSTEM_OFF = Need(None, "on_battery", True), Need(None, "system_off", True)
_TEST_STATE, _TESTING = Need(None, "ups.test.state"), Need(None, "test_in_progress", True)
_TEST_STARTED = Need(None, "ups.test.started")


@dataclass(frozen=True, slots=True)
class Family:
    """Alarms that have a table of their own, and the traps that tell of its rows."""

    alarms: str
    """What its well-known alarms lie below."""
    entry: str
    """What the columns of its table lie below: the first is the index, the second names the alarm."""
    traps: str
    added: int
    removed: int
    name: str
    """What its traps are called before `Added` and `Removed`."""


FAMILIES = (
    Family(_WELL_KNOWN, f"{UPS_MIB}.1.6.2.1", _TRAPS, 3, 4, "upsTrapAlarmEntry"),
    Family(f"{UPS_MIB}.5.3.3", f"{UPS_MIB}.5.3.2.1", f"{UPS_MIB}.5.4", 1, 2, "bacsTrapAlarmEntry"),
)
"""Those of RFC 1628 with its extension, and those of a battery system (M:12209)."""


class Notifications:
    """Decides what is told, and tells every receiver.

    Until it runs nobody is told; what is so then is told once, as RFC 1628 has its tables empty when an agent starts:
    that the agent has started, each alarm, and that the UPS is on battery.
    """

    def __init__(
        self,
        config: SnmpConfig,
        context: FeedContext,
        identity: EngineIdentity,
        subject: Subject,
        alarms: Callable[[], Iterable[AlarmTable]],
        uptime: Callable[[], int],
        *,
        traffic: Traffic | None = None,
        cold: bool | None = None,
        test: Callable[[], tuple[str, int]] = lambda: (NO_TEST, 0),
    ) -> None:
        """`uptime` is the agent's in hundredths of a second, which goes on where sysUpTime begins anew.

        `alarms` gives the tables of all devices that are told of; `cold` whether the agent may show something else
        than when it last ran, None for one that has told of its start already; `test` gives what upsTestId and upsTestSpinLock have.
        """
        self._config = config
        self._context = context
        self._clock = context.clock
        self._identity = identity
        self._subject = subject
        self._alarms = alarms
        self._uptime = uptime
        self._cold = cold
        self._test = test
        self._rows = {row.name: row for mib in load_mibs() if mib.base == f"{UPS_MIB}.1" for row in mib.rows}
        traffic = Traffic() if traffic is None else traffic
        self.receivers = tuple(Receiver(one, self._voice(one), context.clock, traffic) for one in config.receivers)
        self._dependents = Dependents(
            context.directory, subject, {"outage": (_ON_BATTERY, _SYSTEM_OFF), "test": (_TEST_STATE, _TESTING)}
        )
        self._running = False
        self._outage = asyncio.Event()
        self._due = self._clock.monotonic()
        """When the next repetition is due; in the past where none is."""
        self._tested = self._testing() is True

    def follow(self, change: Change) -> None:
        """Tell of what has changed about the UPS itself."""
        for aspect in self._dependents.touched(change):
            if aspect == "outage":
                self._look_at_outage()
            else:
                self._look_at_test()

    def alarm_changed(self, change: AlarmChange) -> None:
        """Tell of a row that came or went."""
        entry = change.entry
        if entry.told and entry.oid not in (NOT_ADDED if change.added else NOT_REMOVED):
            self._tell(self._of_entry(entry, added=change.added))

    def alarms_found(self, table: AlarmTable) -> None:
        """Tell of what is in a table that was not told of before."""
        for entry in table.entries.values():
            self.alarm_changed(AlarmChange(entry, added=True))

    async def run(self) -> None:
        """Tell the receivers until cancelled."""
        self._running = True
        try:
            if self._cold is not None:
                word, number = ("coldStart", 1) if self._cold else ("warmStart", 2)
                self._tell(Notification(word, f"{STANDARD}.{number}", self._uptime()))
            for table in self._alarms():
                self.alarms_found(table)
            self._look_at_outage()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._repeat())
                for receiver in self.receivers:
                    tasks.create_task(receiver.run())
        finally:
            self._running = False

    async def test(self) -> str:
        """Send a notification to every receiver, and say in a sentence what became of it. Raises CommandError.

        It is upsTrapTestCompleted with the result that no test has been made: every manager of UPSes knows it, and
        none takes it for an outage, as it would an alarm or a trap on battery.
        """
        if not self.receivers:
            raise CommandError("refused", "Nobody is to be told by SNMP: see receivers: under snmp:.")
        if not self._running:
            raise CommandError("offline", "SNMP does not serve at the moment.")
        said = f"Test of the notifications of {self._context.bridge.name}"
        notification = self._test_completed(6, said, started=0, elapsed=0)
        outcomes = [""] * len(self.receivers)
        heard = asyncio.Event()

        def listener(place: int) -> Callable[[str], None]:
            def hear(outcome: str) -> None:
                outcomes[place] = outcomes[place] or outcome
                if all(outcomes):
                    heard.set()

            return hear

        for place, receiver in enumerate(self.receivers):
            receiver.offer(notification, listener(place))
        patience = asyncio.create_task(self._clock.sleep(TEST_PATIENCE))
        hearing = asyncio.create_task(heard.wait())
        try:
            await asyncio.wait((patience, hearing), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (patience, hearing):
                task.cancel()
        told = "; ".join(
            f"{receiver.name} {outcome or 'has not taken it yet'}"
            for receiver, outcome in zip(self.receivers, outcomes, strict=True)
        )
        if not {"sent", "confirmed"} & {*outcomes}:
            raise CommandError("no_answer", f"The test notification ({notification.name}) has not arrived: {told}.")
        return f"A test notification ({notification.name}) is on its way: {told}."

    # What is told

    def _look_at_outage(self) -> None:
        """Follow whether the UPS is on battery. While that is not known, nothing is said."""
        on_battery = self._subject.holds(_ON_BATTERY)
        if on_battery and self._subject.holds(_SYSTEM_OFF):
            on_battery = False
        if not on_battery or not self._running:
            self._outage.clear()
            if on_battery is False:
                self._due = self._clock.monotonic()
        elif not self._outage.is_set():
            self._outage.set()
            # An outage of which we have told already, and which was only out of sight, is due when it is due.
            if self._clock.monotonic() >= self._due:
                self._tell_of_outage()

    def _tell_of_outage(self) -> None:
        self._due = self._clock.monotonic() + REPEAT
        names = ("upsEstimatedMinutesRemaining", "upsSecondsOnBattery", "upsConfigLowBattTime")
        bindings = tuple(binding for name in names if (binding := self._number(name)) is not None)
        self._tell(Notification("upsTrapOnBattery", f"{_TRAPS}.1", self._uptime(), bindings, persistent=True))

    async def _repeat(self) -> None:
        while True:
            await self._outage.wait()
            await self._clock.sleep(max(0.0, self._due - self._clock.monotonic()))
            if self._outage.is_set() and self._clock.monotonic() >= self._due:
                self._tell_of_outage()

    def _testing(self) -> bool | None:
        """Whether a test is being made, None where that is not known."""
        state = self._subject.value(_TEST_STATE)
        return self._subject.holds(_TESTING) if state is None else state == "in_progress"

    def _look_at_test(self) -> None:
        testing = self._testing()
        if testing is None or testing == self._tested:
            return
        self._tested = testing
        result = self._enumerated("upsTestResultsSummary")
        if not testing and result != 6:
            detail = self._subject.value(Need(None, "ups.test.result"))
            started = self._subject.value(_TEST_STARTED)
            elapsed = self._number("upsTestElapsedTime")
            self._tell(
                self._test_completed(
                    result,
                    detail if isinstance(detail, str) else "",
                    started=self._stamp(started) if isinstance(started, str) else None,
                    elapsed=None if elapsed is None else int(elapsed.value),
                )
            )

    def _test_completed(
        self, result: int | None, detail: str, *, started: int | None, elapsed: int | None
    ) -> Notification:
        """Tell of a test. What is not known of it is left out: no value is invented."""
        test_id, lock = self._test()
        wanted: Iterator[tuple[str, Tag, int | str | None]] = iter(
            (
                ("upsTestId", Tag.OID, test_id),
                ("upsTestSpinLock", Tag.INTEGER, lock),
                ("upsTestResultsSummary", Tag.INTEGER, result),
                ("upsTestResultsDetail", Tag.OCTETS, detail.encode("ascii", "replace").decode()[:255]),
                ("upsTestStartTime", Tag.TICKS, started),
                ("upsTestElapsedTime", Tag.INTEGER, elapsed),
            )
        )
        bindings = tuple(
            Binding(f"{self._rows[name].oid}.0", tag, value) for name, tag, value in wanted if value is not None
        )
        return Notification("upsTrapTestCompleted", f"{_TRAPS}.2", self._uptime(), bindings)

    def _of_entry(self, entry: AlarmEntry, *, added: bool) -> Notification:
        family = next(family for family in FAMILIES if under(entry.oid, family.alarms))
        return Notification(
            f"{family.name}{'Added' if added else 'Removed'}",
            f"{family.traps}.{family.added if added else family.removed}",
            self._uptime(),
            (
                Binding(f"{family.entry}.1.{entry.index}", Tag.INTEGER, entry.index),
                Binding(f"{family.entry}.2.{entry.index}", Tag.OID, entry.oid),
            ),
        )

    def _tell(self, notification: Notification) -> None:
        if self._running:
            for receiver in self.receivers:
                receiver.offer(notification)

    # Values as the MIB has them

    def _number(self, name: str) -> Binding | None:
        """Give a number that is known, in the unit of its object."""
        row = self._rows[name]
        value = self._subject.value(_need(row))
        if value is None and name == "upsSecondsOnBattery":
            value = self._seconds_on_battery()
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return Binding(f"{row.oid}.0", Tag.INTEGER, max(0, round(value / row.scale)))

    def _seconds_on_battery(self) -> float | None:
        state = self._subject.state(_ON_BATTERY)
        return None if state is None else (self._clock.utc() - state.since).total_seconds()

    def _enumerated(self, name: str) -> int | None:
        row = self._rows[name]
        value = self._subject.value(_need(row))
        return next((number for number, word in row.values.items() if word == value), None)

    def _stamp(self, started: str) -> int | None:
        """Give an instant as what sysUpTime was then; 0 for one before the agent has started."""
        try:
            instant = datetime.fromisoformat(started)
        except ValueError:
            return None
        gone = (self._clock.utc() - (instant if instant.tzinfo else instant.replace(tzinfo=UTC))).total_seconds()
        return max(0, self._uptime() - max(0, round(gone * 100)))

    # How it is done

    def _voice(self, receiver: SnmpReceiver) -> CommunityVoice | UserVoice:
        if receiver.version != "3":
            return CommunityVoice(receiver)
        user = next(user for user in self._config.users if user.name == receiver.user)
        return UserVoice(user, self._identity, self._clock, lambda: self._uptime() // 100)


async def is_altered(config: SnmpConfig, context: FeedContext) -> bool:
    """Whether the agent may show something else than when it last ran: what tells a cold start from a warm one."""
    shown = sha256(f"{context.version} {config!r}".encode()).hexdigest()
    if await context.facts.get(_CONFIGURED) == shown:
        return False
    await context.facts.put(_CONFIGURED, shown)
    return True


def _need(row: ObjectRow) -> Need:
    assert row.key is not None
    return Need(None, row.key)


__all__ = ["NO_TEST", "Notifications", "is_altered"]
