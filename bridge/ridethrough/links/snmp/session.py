"""One connection to an SNMP agent: what is read, how often, and what becomes of it."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
import random

from ridethrough.catalogue import load_catalogue
from ridethrough.clock import Clock
from ridethrough.links.base import Conditions, Identity, LinkError, RawValue, Report
from ridethrough.maps.objects import Child, load_mibs, load_orders, load_quirks, makers, under
from ridethrough.site import Alert, CommandResult, Value

from .agent import SYS_DESCR, SYS_OBJECT_ID, SYS_UPTIME, Agent, Endurance, GarbledError, SilentError
from .alarms import Alarms
from .control import Control
from .doubts import Doubts
from .inventory import Instance, Inventory, candidates, oid_map, take_inventory
from .listing import Owner, Said, listing, owner_of
from .log import read_log
from .options import SnmpOptions
from .orders import Orders, RefusedError
from .phases import COUNTS, Phases, totals
from .values import NOTHING, Converter, Raw, Reading, clean, number_of

SLOW = 60.0
"""Seconds between two looks at identification, ratings and sensors."""
REDISCOVERY = 900.0
"""Seconds between two looks at which objects there are: modules and sensors come and go."""
UNANSWERED = 3
"""Polls without an answer after which the agent counts as lost."""
JITTER = 0.1
"""Share of the poll interval that it varies by, so that a thousand cards do not poll in step."""
STAMP_STEP = 2.0
"""Seconds by which a stamp may move that was worked out of two clocks."""


@dataclass(slots=True)
class Memory:
    """What is known of an agent from one connection to the next."""

    endurance: Endurance = field(default_factory=Endurance)
    alarms: Alarms = field(default_factory=Alarms)
    phases: Phases = field(default_factory=Phases)
    children: set[tuple[str, str]] = field(default_factory=set)
    """Children that have shown something but zeros."""


class Session:
    """Polls one agent until it is lost."""

    def __init__(
        self,
        agent: Agent,
        address: str,
        options: SnmpOptions,
        memory: Memory,
        clock: Clock,
        report: Report,
        wait: Callable[[float], Awaitable[None]],
    ) -> None:
        """`wait` sleeps for some seconds, or until a trap has come."""
        self._agent = agent
        self._options = options
        self._memory = memory
        self._clock = clock
        self._control = Control(agent, address, options, clock)
        self._report = report
        self._wait = wait
        self._descr = ""
        self._object_id = ""
        self._uptime: float | None = None
        self._catalogue = load_catalogue()
        self._converter = Converter("", "", ())
        self._doubts = Doubts(self._converter)
        self._inventory = Inventory((), ())
        self._orders = Orders((), (), {})
        self._names: dict[str, str] = {}
        self._raw: dict[str, Raw] = {}
        self._readings: dict[str, Reading] = {}
        self._believed: dict[str, Reading] = {}
        self._keys: dict[str, str | None] = {}
        self._posted: dict[Owner, set[str]] = {}
        self._alarms_before = -1.0
        self._alarm_conditions: dict[Owner, tuple[str, Mapping[str, bool]]] = {}
        self._since: dict[str, Value] = {}
        self.over = False

    # The two lanes

    async def run(self) -> None:
        """Identify the agent, and poll it for ever. Raises LinkError."""
        await self._recognise()
        rediscover = self._clock.monotonic() + REDISCOVERY
        # The rare values come right after the first status, the second status right after them.
        slow_due, interval = 0.0, 0.0
        unanswered = 0
        first = True
        while True:
            begun = self._clock.monotonic()
            try:
                await self._poll()
                unanswered = 0
                now = self._clock.monotonic()
                if first or now >= slow_due:
                    if now >= rediscover or self._restarted():
                        rediscover = now + REDISCOVERY
                        await self._discover()
                    await self._poll_slow()
                    slow_due = now + SLOW
                    if first:
                        first = False
                        continue
            except SilentError:
                unanswered += 1
                self._report.count("timeouts")
                if unanswered >= UNANSWERED:
                    raise LinkError(
                        f"{self._options} has stopped answering ({unanswered} polls without an answer)."
                    ) from None
                # A machine whose agent is being restarted refuses at once; it has as long as one that is silent.
                await self._clock.sleep(begun + self._options.timeout - self._clock.monotonic())
                continue
            except GarbledError:
                unanswered += 1
                self._report.count("malformed")
                if unanswered >= UNANSWERED:
                    raise
            # The second interval is anything up to the first, later ones vary a little.
            share = random.random() if interval == 0.0 else 1.0 + JITTER * (random.random() - 0.5)
            interval = self._options.poll
            await self._wait(self._options.poll * share)

    async def _recognise(self) -> None:
        """Find out what it is and what it has. Raises LinkError when it is no UPS."""
        system = await self._agent.get([SYS_DESCR, SYS_OBJECT_ID, SYS_UPTIME])
        self._descr = clean(system.get(SYS_DESCR)) or ""
        self._object_id = str(system.get(SYS_OBJECT_ID) or "").strip(".")
        self._uptime = number_of(system.get(SYS_UPTIME))
        self._converter = Converter(self._object_id, self._descr, load_quirks())
        self._doubts = Doubts(self._converter)
        endurance = self._memory.endurance
        if self._converter.setting("bulk") == "no":
            endurance.bulk = False
        if (most := self._converter.setting("most")) is not None:
            endurance.batch = min(endurance.batch, int(most))
        await self._discover()
        if not self._inventory.instances:
            what = f" ({self._descr[:60]})" if self._descr else ""
            raise LinkError(
                f"{self._options} answers SNMP{what}, but has no UPS: neither RFC 1628 nor a maker's MIB that is known."
            )

    async def _discover(self) -> None:
        readable = tuple(mib for mib in load_mibs() if mib.read)
        mibs = candidates(readable, self._object_id, self._descr, self._options.mib)
        self._inventory = await take_inventory(self._agent, mibs)
        if not self._inventory.instances and self._options.mib is None:
            others = [mib for mib in readable if mib not in mibs]
            self._inventory = await take_inventory(self._agent, others, thoroughly=False)
        oids = oid_map(self._inventory.instances)
        self._names = {instance.oid: instance.name for instance in self._inventory.instances}
        self._orders = Orders(load_orders(), self._inventory.mibs, oids)
        self._raw = {oid: raw for oid, raw in self._raw.items() if oid in self._names}
        self._keys = {}
        counts = [instance for instance in self._inventory.instances if instance.row.key in COUNTS]
        self._take(counts, await self._agent.get([instance.oid for instance in counts]))

    async def _poll(self) -> None:
        """Read what moves, and post it."""
        instances = [instance for instance in self._inventory.instances if instance.row.fast]
        before = self._agent.asked
        answered = await self._agent.get([SYS_UPTIME, *(instance.oid for instance in instances)])
        if not answered.keys() - {SYS_UPTIME}:
            raise SilentError(f"{self._options} answers, but no longer tells anything of the UPS.")
        self._take(instances, answered)
        await self._look_at_alarms()
        self._report.count("answers", self._agent.asked - before)
        self._post(instances, alarms=True)

    async def _poll_slow(self) -> None:
        """Read what hardly ever moves, and post it; tell who the UPS is."""
        instances = [instance for instance in self._inventory.instances if not instance.row.fast]
        self._take(instances, await self._agent.get([instance.oid for instance in instances]))
        self._identify()
        self._post(instances, alarms=False)

    def _restarted(self) -> bool:
        """Tell whether the agent was started anew since it was last asked."""
        now = number_of(self._raw.get(SYS_UPTIME))
        before, self._uptime = self._uptime, now
        return now is not None and before is not None and now < before

    # From the wire to points

    def _take(self, instances: Iterable[Instance], answered: Mapping[str, Raw]) -> None:
        uptime = number_of(answered.get(SYS_UPTIME, self._raw.get(SYS_UPTIME)))
        if SYS_UPTIME in answered:
            self._raw[SYS_UPTIME] = answered[SYS_UPTIME]
        now = self._clock.utc()
        malformed = 0
        for instance in instances:
            raw = answered.get(instance.oid)
            if instance.oid in self._readings and raw == self._raw.get(instance.oid) and raw is not None:
                continue
            reading = self._converter.read(instance.row, raw, uptime, now)
            malformed += reading.malformed
            self._raw[instance.oid] = raw
            self._readings[instance.oid] = reading
        if malformed:
            self._report.count("malformed", malformed)
        everything = self._inventory.instances
        self._believed = self._doubts.apply(everything, self._readings)
        self._memory.phases.count(everything, self._believed)
        self._keys = {instance.oid: self._memory.phases.key(instance) for instance in everything}

    def _post(self, instances: Iterable[Instance], *, alarms: bool) -> None:
        points: dict[Owner, dict[str, Value | None]] = {}
        conditions: dict[Owner, dict[str, bool]] = {}
        names: dict[Owner, str] = {}
        ranks: dict[tuple[Owner, str], bool] = {}
        for instance in instances:
            child = instance.child
            owner = owner_of(child)
            if child is not None:
                if not self._present(child):
                    continue
                names[owner] = child.name
            reading = self._believed.get(instance.oid, NOTHING)
            key = self._keys.get(instance.oid)
            of = points.setdefault(owner, {})
            if key is not None and not ranks.get((owner, key), False):
                of[key] = reading.value
                ranks[owner, key] = reading.value is not None
            for condition, active in (reading.conditions or {}).items():
                told = conditions.setdefault(owner, {})
                told[condition] = told.get(condition, False) or active
        if alarms:
            for owner, (name, alarmed) in self._alarm_conditions.items():
                if owner is not None and owner not in names:
                    self._memory.children.add(owner)
                    names[owner] = name
                    points.setdefault(owner, {})
                so = conditions.setdefault(owner, {})
                for condition, active in alarmed.items():
                    so[condition] = so.get(condition, False) or active
        own = points.setdefault(None, {})
        own |= totals(own)
        for part in COUNTS:
            number = self._memory.phases.number(part.removesuffix(".phases"))
            if part in own and number is not None:
                own[part] = number
        self._settle_stamps(own)
        for owner, of in points.items():
            if owner is not None:
                report = self._report.child(*owner, self._name(owner, names[owner]))
                _send(report, of, conditions.get(owner, {}), fast=alarms)
                report.identified(Identity(commands=self._orders.offered(*owner)))
        self._drop(points if alarms else {})
        _send(self._report, own, conditions.get(None, {}), fast=alarms)

    def _drop(self, points: Mapping[Owner, Mapping[str, Value | None]]) -> None:
        """Tell which points are no longer there, as when a second phase shows up and `input.voltage` is `input.L1.voltage`."""
        for owner, of in points.items():
            gone = self._posted.get(owner, set()) - of.keys()
            if gone:
                report = self._report if owner is None else self._report.child(*owner, self._name(owner, owner[1]))
                report.dropped(sorted(gone))
            self._posted[owner] = set(of)

    def _present(self, child: Child) -> bool:
        """Tell whether a child is there: agents have objects for eight sensors when there is none."""
        owner = (child.kind, child.number)
        if child.always or owner in self._memory.children:
            return True
        for instance in self._inventory.instances:
            if owner_of(instance.child) == owner and not instance.row.writable:
                reading = self._believed.get(instance.oid, NOTHING)
                if reading.number or (reading.number is None and reading.value):
                    self._memory.children.add(owner)
                    return True
        return False

    def _name(self, owner: tuple[str, str], otherwise: str) -> str:
        """Find what the agent calls a child."""
        for instance in self._inventory.instances:
            if instance.row.key in {"sensor.location", "outlet.name"} and owner_of(instance.child) == owner:
                reading = self._believed.get(instance.oid, NOTHING)
                if isinstance(reading.value, str):
                    return reading.value
        return otherwise

    def _settle_stamps(self, points: dict[str, Value | None]) -> None:
        """Keep an instant that was worked out of two clocks from moving with every look."""
        key = "ups.test.started"
        instant = points.get(key)
        if isinstance(instant, str):
            before = self._since.get(key)
            near = isinstance(before, str) and abs(_seconds(before) - _seconds(instant)) <= STAMP_STEP
            points[key] = self._since[key] = before if near and before is not None else instant

    async def _look_at_alarms(self) -> None:
        """Read the tables of alarms when their counters say that there is something in them, or was."""
        present: list[str] = []
        total, counted, standard = 0.0, False, False
        for mib in self._inventory.mibs:
            if mib.alarms is None or mib.alarm_count is None:
                continue
            row = self._believed.get(mib.alarm_count) or self._believed.get(mib.alarm_count.removesuffix(".0"))
            if row is None or row.number is None:
                continue
            counted = True
            total += row.number
            standard = standard or mib.name == "rfc1628"
            if row.number > 0:
                present += [str(value) for _, value in await self._agent.walk(mib.alarms) if isinstance(value, str)]
        if not counted or (total == 0 and self._alarms_before == 0):
            return
        self._alarms_before = total
        alarms = self._memory.alarms
        told = alarms.read(present, standard=standard)
        if alarms.severed:
            raise LinkError(f"{self._options} answers, but the card has lost the UPS (upsAlarmCommunicationsLost).")
        self._alarm_conditions = {
            owner_of(child): ("" if child is None else child.name, conditions) for child, conditions in told.items()
        }

    # Who it is

    def _identify(self) -> None:
        def said(key: str) -> str | None:
            for instance in self._inventory.instances:
                if instance.row.key == key and instance.row.child is None:
                    value = self._readings.get(instance.oid, NOTHING).value
                    if isinstance(value, str):
                        return value
            return None

        maker = next((maker for agent, maker in makers().items() if under(self._object_id, agent)), None)
        self._report.identified(
            Identity(
                manufacturer=said("ups.mfr") or maker,
                model=said("ups.model"),
                serial=said("ups.serial"),
                firmware=said("ups.firmware") or said("ups.firmware.aux"),
                commands=self._orders.offered("ups", None),
            )
        )

    def raw(self) -> tuple[RawValue, ...]:
        """Give every object that was read, under the name its MIB has for it."""
        said = Said(self._raw, self._readings, self._believed, self._keys)
        return listing(self._inventory.instances, said, frozenset(self._memory.children), self._catalogue)

    def readings(self) -> Mapping[str, Reading]:
        """Give what each object came to, by its OID; also of those that another object is believed before."""
        return self._readings

    # Commands

    async def perform(self, command: str, arguments: Mapping[str, Value], child: str | None) -> CommandResult:
        """Write what the command takes, and look whether the UPS does it. Raises CommandError."""
        order = self._orders.order(command, arguments, child, self._clock.utc().astimezone())
        try:
            return await self._control.carry_out(command, order, self._names)
        except RefusedError:
            self._report.count("refused")
            raise

    async def history(self) -> tuple[Alert, ...]:
        """Read the log that the agent keeps itself. Raises as `read_log`."""
        return await read_log(self._agent, self._inventory.mibs)


def _send(report: Report, points: Mapping[str, Value | None], conditions: Conditions, *, fast: bool) -> None:
    if fast:
        report.status(points, conditions)
    else:
        report.details(points, conditions)


def _seconds(instant: str) -> float:
    return datetime.fromisoformat(instant).timestamp()


__all__ = ["Memory", "Session"]
