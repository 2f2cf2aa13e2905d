"""Reads everything on a bus again and again, so that its line is hardly ever silent; branches at the same time."""

import asyncio
from dataclasses import dataclass, field
import logging

from ridethrough.battery.bus import Pace
from ridethrough.battery.layout import Layout
from ridethrough.clock import Clock
from ridethrough.links.answer import NoAnswerError
from ridethrough.links.base import LinkError, Report
from ridethrough.site import Value

from .census import NOWHERE, Census, Run, runs
from .duties import Duties
from .frames import (
    COLLISION,
    GROUP,
    NUMBERS,
    SENSORS,
    SERIAL,
    Function,
    Heard,
    Question,
    Status,
    currents,
    group,
    how_many,
    measure,
    read_box,
)
from .impedance import Measurements
from .modules import AT_ONCE, Modules
from .stations import Boxes, Sensors
from .wire import Wire

_LOGGER = logging.getLogger(__name__)

FASTEST = 0.1
"""Seconds from one scan to the next at least, however few modules there are."""
FRESH = 5.0
"""Seconds within which each value is told again; a third of the shortest deadline."""
ROLL_CALL = 5.0
"""Seconds after which the next module is asked whether there is another with its number."""
LOST_BOX = 1.0
"""Seconds after which somebody who is asked alone and has not answered is asked again."""
SEARCH = 30.0
"""Seconds after which numbers that nobody is known to have are asked again, where nobody has said who should be there."""
FRONT = 20
"""Scans after which those behind a break of a ring are asked from its beginning again."""
ATTEMPTS = 3
"""How often a module is asked who it is."""
_STATIONS = frozenset({Function.CURRENT, Function.BOX, Function.SWITCH})


@dataclass(slots=True)
class Branch:
    """A bus of its own: one end, or the two of a ring."""

    number: int
    wires: list[Wire]
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    pending: tuple[Question, int, Heard] | None = None
    """What was heard but not looked at yet: that is done while the next answers come."""
    scans: int = 0
    every: int = 1
    """One scan in so many tells a module's values although they have not changed."""
    attempts: dict[int, int] = field(default_factory=dict)
    suspects: dict[int, None] = field(default_factory=dict)
    """Numbers that two modules seem to have."""
    called: float = 0.0
    calls: int = 0
    caller: int = 0
    """The number whose turn it was in the roll-call."""
    asked_alone: dict[int, float] = field(default_factory=dict)
    """Boxes that are away, and when they were asked last."""
    searched: float = 0.0
    far: list[int] = field(default_factory=list)


class Scanner:
    """Scans the branches of a bus until it is cancelled, or nobody answers any longer."""

    def __init__(
        self,
        branches: list[Branch],
        report: Report,
        layout: Layout | None,
        clock: Clock,
        *,
        duties: Duties,
        measurements: Measurements,
        boxes: Boxes,
        poll: float,
        known: bool,
    ) -> None:
        """`known` says that modules have answered before: nothing is told until one does so again."""
        self._branches = branches
        self._report = report
        self._clock = clock
        self._duties = duties
        self._measurements = measurements
        self._boxes = boxes
        self._poll = poll
        self._known = known
        self.pace = Pace.NORMAL
        self._expected = layout is not None
        rings = [len(branch.wires) > 1 for branch in branches]
        self._census = Census(NUMBERS if layout is None else layout.blocks, rings, GROUP, expected=self._expected)
        sensors = SENSORS if layout is None else layout.sensors
        self._sensor_census = Census(sensors, rings, SENSORS, expected=self._expected)
        self._box_census = Census(boxes.count, rings, 1, expected=self._expected)
        self.modules = Modules(report)
        self._sensors = Sensors(report, sensors if self._expected else 0)
        self._initializing = True
        self._loop = asyncio.get_running_loop()
        self.answered = False
        """Whether anybody has answered."""
        self._lost: set[int] = set()
        self._gone = {wire.where for branch in branches for wire in branch.wires if wire.lost}

    async def run(self) -> None:
        """Scan. Raises NoAnswerError when everybody is silent, LinkError when a line has gone."""
        for branch in self._branches:
            branch.pending, branch.scans = None, 0
            branch.attempts.clear()
        if self._expected:
            await self.modules.expect(self._census.count)
            self._boxes.present(self._report)
        if not self._known:
            self._tell()
        async with asyncio.TaskGroup() as tasks:
            for branch in self._branches:
                tasks.create_task(self._keep_scanning(branch))

    async def _keep_scanning(self, branch: Branch) -> None:
        while True:
            self.check()
            branch.wake.clear()
            began = self._loop.time()
            await self._scan(branch)
            branch.scans += 1
            took = self._loop.time() - began
            period = FASTEST if self.pace is Pace.VOLTAGE else self._poll
            branch.every = max(1, int(FRESH / max(took, period)))
            if branch.number == 0:
                self._account()
            await self._rest(branch, began + max(FASTEST, period) - self._loop.time())

    def check(self) -> None:
        """Raise LinkError when all ends of the bus have gone; say it of those that have."""
        wires = [wire for branch in self._branches for wire in branch.wires]
        gone = [wire.where for wire in wires if wire.lost]
        if len(gone) == len(wires):
            raise LinkError(f"{gone[0]} has gone; is the cable or the adapter unplugged?")
        for where in gone:
            if where not in self._gone:
                _LOGGER.warning("%s has gone; the other ends of the bus are used", where)
        self._gone = set(gone)

    async def _rest(self, branch: Branch, seconds: float) -> None:
        """Be silent where everything has been read sooner than needs be, unless something is to be done at once."""
        if seconds <= 0:
            return
        await self.settle(branch)
        handle = self._loop.call_later(seconds, branch.wake.set)
        try:
            await branch.wake.wait()
        finally:
            handle.cancel()

    async def _scan(self, branch: Branch) -> None:
        search = not self._expected and self._searching(branch)
        census = self._census
        if len(branch.wires) > 1 and branch.scans and branch.scans % FRONT == 0:
            self._look_at_ring(branch, census.front(branch.number))
        plan = census.plan(branch.number, search=search)
        voltages = self.pace is Pace.VOLTAGE and not self._initializing
        await self._start_measuring(branch)
        for index, run in enumerate(plan):
            await self._between(branch, run)
            function = Function.VOLTAGE if voltages and index != branch.scans % len(plan) else Function.READ
            self._modules_lost(census.asked(branch.number, run))
            await self._ask(branch, group(function, run.first, run.count), run.side)
        await self._ask_stations(branch, search=search)
        await self._ask_who(branch)
        await self._call_roll(branch)

    def _searching(self, branch: Branch) -> bool:
        now = self._clock.monotonic()
        if branch.scans < 2 or now - branch.searched >= SEARCH:
            branch.searched = now
            return True
        return False

    # On the line

    async def _ask(self, branch: Branch, question: Question, side: int = 0) -> None:
        """Ask, and look at what was heard before while the answers come."""
        wire = branch.wires[side]
        if wire.lost:
            return
        try:
            async with wire.turn:
                await wire.begin(question)
                await self.settle(branch)
                heard = await wire.end()
        except LinkError:
            self.check()
            return
        branch.pending = question, side, heard

    async def settle(self, branch: Branch) -> None:
        """Look at what was heard last."""
        if branch.pending is not None:
            (question, side, heard), branch.pending = branch.pending, None
            await self._take_in(branch, question, side, heard)

    async def _between(self, branch: Branch, run: Run) -> None:
        """Do what does not wait for the end of the scan: outputs first, then duties."""
        for number in self._boxes.urgent(self._box_census.present):
            if self._box_census.place(number) == branch.number:
                await self._ask_box(branch, number)
        question = self._duties.due(run.first, run.first + run.count - 1, self._clock.monotonic())
        if question is not None:
            await self._ask(branch, question, run.side)

    async def _ask_stations(self, branch: Branch, *, search: bool) -> None:
        for run in self._sensor_census.plan(branch.number, search=search):
            for number in self._sensor_census.asked(branch.number, run):
                if self._expected:
                    self._sensors.lose(number)
            await self._ask(branch, currents(run.first, run.count), run.side)
        await self.ask_boxes(branch, search=search)

    async def ask_boxes(self, branch: Branch, *, search: bool = False) -> None:
        """Read the boxes of a branch, and set outputs that do not stand as they should."""
        now = self._clock.monotonic()
        for run in self._box_census.plan(branch.number, search=search):
            number = run.first
            away = number not in self._box_census.present
            if away and now - branch.asked_alone.get(number, -LOST_BOX) < LOST_BOX:
                continue
            branch.asked_alone[number] = now
            for lost in self._box_census.asked(branch.number, run):
                if self._expected:
                    self._boxes.lose(lost)
            await self._ask(branch, read_box(number), run.side)
            if self._boxes.due(number) is not None:
                await self._ask_box(branch, number)

    async def _ask_box(self, branch: Branch, number: int) -> None:
        """Tell a box what it has to be told, one thing at a time."""
        await self.settle(branch)
        question = self._boxes.due(number)
        if question is not None:
            await self._ask(branch, question, self._box_census.side(number))
            await self.settle(branch)

    async def _start_measuring(self, branch: Branch) -> None:
        if branch.number:
            return
        numbers = self._measurements.following(self._clock.monotonic(), self._census.present)
        for number in numbers:
            wire = self._branches[self._census.place(number)].wires[self._census.side(number)]
            await self.settle(branch)
            if not wire.lost:
                await wire.ask(measure(number))

    async def _ask_who(self, branch: Branch) -> None:
        """Ask modules that are new, or have been away, who they are."""
        unknown = [
            number
            for number in sorted(self._census.present)
            if self._census.place(number) == branch.number
            and not self.modules.identified(number)
            and branch.attempts.get(number, 0) < ATTEMPTS
        ]
        for side in range(len(branch.wires)):
            for run in runs([one for one in unknown if self._census.side(one) == side], GROUP, side):
                for number in range(run.first, run.first + run.count):
                    branch.attempts[number] = branch.attempts.get(number, 0) + 1
                await self._ask(branch, group(Function.IDENTITY, run.first, run.count), side)
        if unknown:
            await self.settle(branch)
            self.modules.summarise()
        elif branch.number == 0 and self._initializing and branch.scans >= ATTEMPTS:
            self._initializing = False

    async def _call_roll(self, branch: Branch) -> None:
        """Ask for two modules with one number: where that is suspected, and one number after the other."""
        now = self._clock.monotonic()
        number = next(iter(branch.suspects), 0)
        if number:
            del branch.suspects[number]
        elif now - branch.called >= ROLL_CALL:
            branch.called = now
            number = self._following(branch)
        if number and self._census.place(number) in {branch.number, NOWHERE}:
            await self._ask(branch, how_many(number), self._census.side(number))

    def _following(self, branch: Branch) -> int:
        """Say whose turn it is in the roll-call; every second time those whom two are known to be. 0 for nobody."""
        here = sorted(one for one in self._census.present if self._census.place(one) == branch.number)
        doubled = [one for one in here if self.modules[one].duplicate]
        branch.calls += 1
        if doubled and branch.calls % 2:
            return doubled[branch.calls // 2 % len(doubled)]
        branch.caller = next((one for one in here if one > branch.caller), here[0] if here else 0)
        return branch.caller

    def _look_at_ring(self, branch: Branch, far: list[int]) -> None:
        """Say once when modules answer only at the far end of a ring, and once when all answer at its beginning."""
        if far and not branch.far:
            _LOGGER.warning(
                "%s: %s answer only at the other end of the ring; look for a broken cable before the first of them",
                branch.wires[0].where,
                _named(far),
            )
        elif branch.far and not far:
            _LOGGER.info("%s: the ring is closed again", branch.wires[0].where)
        branch.far = far

    # What was heard

    async def _take_in(self, branch: Branch, question: Question, side: int, heard: Heard) -> None:
        frames = heard.frames
        now = self._clock.monotonic()
        serials: set[int] = set()
        for start in range(0, len(frames), AT_ONCE):
            if start:
                await asyncio.sleep(0)
            with self._report.together():
                for frame in frames[start : start + AT_ONCE]:
                    self._take(branch, side, frame, now, serials)
        if question.function == Function.COUNT:
            self.modules.counted(question.first, serials, spoiled=any(size >= COLLISION for _, size in heard.noise))
        if heard.noise:
            self._report.count("malformed", heard.broken)
            self._attribute(branch, question, heard)
        if question.slots:
            self._report.count("answers", len(frames))
            if question.function in {Function.READ, Function.VOLTAGE} and len(frames) < question.slots:
                self._report.count("timeouts", question.slots - len(frames))
        if self._census.clashes:
            self.modules.clash(self._census.clashes)
            self._census.clashes.clear()

    def _take(self, branch: Branch, side: int, frame: bytes, now: float, serials: set[int]) -> None:
        """Take one answer; it may be a late one to an earlier question."""
        function = frame[1]
        if function in _STATIONS:
            self._take_station(branch, side, frame, now)
            return
        if function == Function.SAFE:
            self._boxes.safe_told(frame[2])
            return
        number = frame[2] << 8 | frame[3]
        if not 1 <= number <= self._census.count:
            return
        if function == Function.READ:
            if self._census.heard(branch.number, side, number):
                self._found(branch, number)
            voltages = self.pace is Pace.VOLTAGE
            _, status, duty = self.modules.read(frame, branch.scans, 1 if voltages else branch.every)
            if status:
                self._note(branch, number, status, now)
            if self._duties.used:
                self._duties.draws(number, duty, now, hot=bool(status & Status.HOT))
        elif function == Function.VOLTAGE:
            if self._census.heard(branch.number, side, number):
                self._found(branch, number)
            self.modules.read_voltage(frame, branch.scans, branch.every)
        elif function == Function.IDENTITY:
            self.modules.identify(frame)
        elif function == Function.COUNT:
            serials.add(SERIAL.unpack(frame)[1])

    def _take_station(self, branch: Branch, side: int, frame: bytes, now: float) -> None:
        number = frame[2]
        if frame[1] == Function.CURRENT:
            if 1 <= number <= self._sensor_census.count:
                self._sensor_census.heard(branch.number, side, number)
                if not self._expected:
                    self._sensors.meet(self._report, number)
                self._sensors.read(frame, now)
        elif 1 <= number <= self._box_census.count:
            self._box_census.heard(branch.number, side, number)
            if not self._expected:
                self._boxes.meet(self._report, number)
            self._boxes.read(frame, now)

    def _found(self, branch: Branch, number: int) -> None:
        self.answered = True
        branch.attempts.pop(number, None)
        self.modules.found(number)
        self._duties.restarted(number)
        if number in self._lost:
            self._lost.discard(number)
            _LOGGER.info("%s: module %d answers again", branch.wires[0].where, number)

    def _note(self, branch: Branch, number: int, status: int, now: float) -> None:
        if status & (Status.IMPEDANCE_NEW | Status.MEASURING):
            self._measurements.seen(number, status, now)
        if status & Status.STARTED:
            self._duties.restarted(number)

    def _attribute(self, branch: Branch, question: Question, heard: Heard) -> None:
        """Find out whose slots had bytes but no frame."""
        if question.function not in {Function.READ, Function.VOLTAGE}:
            return
        numbers = [int.from_bytes(frame[2:4]) for frame in heard.frames if frame[1] == question.function]
        end = question.first + question.slots
        for before, size in heard.noise:
            if size < COLLISION or len(numbers) != len(heard.frames):
                continue
            low = numbers[before - 1] + 1 if before else question.first
            high = numbers[before] if before < len(numbers) else end
            silent = [one for one in range(low, high) if self._census.wanted(one, branch.number)]
            if 0 < len(silent) <= max(1, size // question.length + 1):
                for number in silent:
                    if self.modules.garble(number):
                        branch.suspects[number] = None

    def _modules_lost(self, numbers: list[int]) -> None:
        if not numbers:
            return
        with self._report.together():
            self.modules.lose(numbers)
        self._lost.update(numbers)
        _LOGGER.warning("%s: %s do not answer", self._branches[0].wires[0].where, _named(numbers))

    # What is told of the whole

    def _account(self) -> None:
        """Tell how it goes, after each scan. Raises NoAnswerError when everybody has fallen silent."""
        anybody = self._census.present or self._sensor_census.present or self._box_census.present
        if not anybody and (self.answered or (self._known and self._branches[0].scans >= ATTEMPTS)):
            raise NoAnswerError(
                f"{self._branches[0].wires[0].where}: no module answers; is the bus supplied, and are its wiring and "
                "baud rate right?"
            )
        now = self._clock.monotonic()
        with self._report.together():
            self.modules.confirm(now)
            if anybody or not self._known:
                # While nobody has answered, not even what is lost is told: a bus that tells anything counts as found.
                self._sensors.confirm(now)
                self._boxes.confirm(now)
                self._tell()

    def _tell(self) -> None:
        conditions = {
            "module.initializing": self._initializing,
            "module.searching": not self._expected and self._initializing,
            "module.polling": not self._initializing,
            "module.addressing": False,
            "programming": False,
        }
        if self._expected and self._sensor_census.count:
            conditions["current_sensor_lost"] = bool(self._sensors.lost)
        if self._expected and self._boxes.count:
            conditions["io_box_lost"] = bool(self._boxes.lost)
        points: dict[str, Value | None] = {"programmer.state": "off"}
        self._report.status(points, conditions)


def _named(numbers: list[int]) -> str:
    parts = [
        str(run.first) if run.count == 1 else f"{run.first}–{run.first + run.count - 1}"
        for run in _exact(sorted(numbers))
    ]
    return f"modules {', '.join(parts[:12])}{' …' if len(parts) > 12 else ''}"


def _exact(numbers: list[int]) -> list[Run]:
    made: list[Run] = []
    for number in numbers:
        if made and made[-1].first + made[-1].count == number:
            made[-1] = Run(made[-1].first, made[-1].count + 1, 0)
        else:
            made.append(Run(number, 1, 0))
    return made


__all__ = ["Branch", "Scanner"]
