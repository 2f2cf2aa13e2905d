"""What is SET, as commands of the catalogue: the rows of `maps/snmp/commands.csv` read the other way round. Pure.

A command is a few objects of which the last one begins it: upsShutdownAfterDelay, say, after it has been set what is
to be shut down and whether to come back. Those before it may come in the same request or have come earlier.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
import re

from ridethrough.catalogue import Argument, Catalogue
from ridethrough.feeds.directory import Part
from ridethrough.maps.objects import Mib, ObjectRow, OrderRow
from ridethrough.site import Value

from .ber import BerError, Oid, Tag, read_integer, read_name
from .pdu import Status, Variable

_PLACE = re.compile(r"\{(\w+)(?:([*+])(\d+))?\}")
_BEFOREHAND: Mapping[str, int] = {"upsShutdownType": 1, "upsAutoRestart": 1}
"""What is so until somebody has written something else: the output, and back again with the mains."""
TEST_ID = "upsTestId"
NO_TEST: Oid = (1, 3, 6, 1, 2, 1, 33, 1, 7, 7, 1)
"""upsTestNoTestsInitiated."""

type Setting = int | Oid


@dataclass(frozen=True, slots=True)
class Template:
    """What an object must be set to: a certain value, or anything that an argument may be."""

    constant: Setting | None = None
    argument: Argument | None = None
    factor: int = 1

    def matches(self, value: Setting) -> bool:
        """Whether it may be this."""
        if self.argument is None:
            return value == self.constant
        return isinstance(value, int) and self.argument.minimum <= value / self.factor <= self.argument.maximum


@dataclass(frozen=True, slots=True)
class Way:
    """One way to give one command to one device."""

    command: str
    group: str
    part: Part | None
    """None: the device itself."""
    writes: tuple[tuple[Oid, Template], ...]
    guard: Oid | None
    fixed: Mapping[str, Value]
    """Arguments that lie in the names of the objects."""

    @property
    def trigger(self) -> Oid:
        """The object that begins it."""
        return self.writes[-1][0]

    @property
    def firmness(self) -> int:
        """How much of it is certain: of two ways that fit, the firmer one is meant."""
        return sum(template.argument is None for _, template in self.writes)


@dataclass(frozen=True, slots=True)
class Given:
    """A command that follows from what is set."""

    way: Way
    arguments: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Accepted:
    """A request that may be carried out."""

    given: Given | None
    """None: it only prepares one."""
    settings: Mapping[Oid, Setting]


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that may not, and which of its variables is to blame, from 1."""

    status: Status
    index: int


class Lock:
    """A test-and-increment lock (RFC 2579 TestAndIncr)."""

    def __init__(self) -> None:
        """Nobody has taken it."""
        self.value = 0

    def advance(self) -> None:
        """Let somebody take it."""
        self.value = 0 if self.value == 2**31 - 1 else self.value + 1


class Orders:
    """The objects of one device that can be set, and what they are set to."""

    def __init__(self, ways: Iterable[Way], rows: Mapping[Oid, ObjectRow]) -> None:
        """`rows` are the objects by the names of their instances."""
        self.ways = tuple(ways)
        self.locks = {way.guard: Lock() for way in self.ways if way.guard is not None}
        self._rows = rows
        self._by_object: dict[Oid, list[tuple[Way, Template]]] = {}
        for way in self.ways:
            for oid, template in way.writes:
                self._by_object.setdefault(oid, []).append((way, template))
        self._beforehand = {
            oid: _BEFOREHAND[rows[oid].name] for oid in self._by_object if rows[oid].name in _BEFOREHAND
        }
        self._settings: dict[Oid, Setting] = {}

    def setting(self, oid: Oid) -> Setting | None:
        """Return what somebody has set an object to."""
        return self._settings.get(oid)

    def beforehand(self, oid: Oid) -> Setting | None:
        """Return what holds until somebody sets an object."""
        return self._beforehand.get(oid)

    def last_test(self) -> tuple[str, int]:
        """Return which test was begun last, as a dotted name, and how often somebody has taken the lock of tests."""
        found = next((value for oid, value in self._settings.items() if self._rows[oid].name == TEST_ID), NO_TEST)
        assert isinstance(found, tuple)
        return ".".join(map(str, found)), max((lock.value for lock in self.locks.values()), default=0)

    def using(self, oid: Oid) -> list[Way]:
        """Return the ways in which an object plays a part."""
        return [way for way, _ in self._by_object.get(oid, ())]

    def weigh(
        self, variables: Sequence[Variable], exists: Callable[[Oid], bool], permitted: Callable[[Way], Status | None]
    ) -> Accepted | Refused:
        """Say what a SET comes to; nothing is changed. `permitted` gives what speaks against a way."""
        wanted: dict[Oid, Setting] = {}
        places: dict[Oid, int] = {}
        for index, one in enumerate(variables, 1):
            value = self._check(one, exists, permitted)
            if isinstance(value, Status):
                return Refused(value, index)
            if wanted.get(one.name, value) != value:
                return Refused(Status.INCONSISTENT_VALUE, index)
            wanted[one.name] = value
            places[one.name] = index
        settings = {oid: value for oid, value in wanted.items() if oid not in self.locks}
        begun = [way for way in self.ways if way.trigger in settings and self._meant(way, settings)]
        if not begun:
            # What only ever begins something, and now begins nothing, is not to be taken for done.
            for oid in settings:
                if all(way.trigger == oid for way in self.using(oid)):
                    return Refused(Status.INCONSISTENT_VALUE, places[oid])
            return Accepted(None, settings)

        def likelihood(way: Way) -> tuple[int, bool, bool, int]:
            covered = len({oid for oid, _ in way.writes} & settings.keys())
            return covered, way.writes[-1][1].argument is None, permitted(way) is None, way.firmness

        way = max(begun, key=likelihood)
        missed = settings.keys() - {oid for oid, _ in way.writes}
        if missed:
            return Refused(Status.INCONSISTENT_VALUE, min(places[oid] for oid in missed))
        against = permitted(way) or (None if self._fits(way, settings) else Status.WRONG_VALUE)
        if against is not None:
            return Refused(against, places[way.trigger])
        return Accepted(Given(way, self._arguments(way, settings)), settings)

    def take(self, variables: Sequence[Variable], accepted: Accepted) -> None:
        """Have set what was accepted; the locks among it are taken."""
        begun = None if accepted.given is None else accepted.given.way.trigger
        for oid, value in accepted.settings.items():
            # What has begun something has done its work; only of a test it stays known which one it was.
            if oid != begun or self._rows[oid].name == TEST_ID:
                self._settings[oid] = value
        for oid in {one.name for one in variables} & self.locks.keys():
            self.locks[oid].advance()

    def _check(
        self, one: Variable, exists: Callable[[Oid], bool], permitted: Callable[[Way], Status | None]
    ) -> Setting | Status:
        uses = self._by_object.get(one.name)
        lock = self.locks.get(one.name)
        if uses is None and lock is None:
            return Status.NOT_WRITABLE if exists(one.name) else Status.NO_CREATION
        ways = [way for way, _ in uses or ()] or [way for way in self.ways if way.guard == one.name]
        against = [permitted(way) for way in ways]
        if None not in against:
            return next(status for status in against if status is not None)
        value = _read(one, Tag.OID if one.name in self._rows and self._rows[one.name].syntax == "oid" else Tag.INTEGER)
        if isinstance(value, Status):
            return value
        if lock is not None:
            return value if value == lock.value else Status.INCONSISTENT_VALUE
        assert uses is not None
        return value if any(template.matches(value) for _, template in uses) else Status.WRONG_VALUE

    def _meant(self, way: Way, settings: Mapping[Oid, Setting]) -> bool:
        """Whether everything that is certain about a way is so, and it leaves out nothing that somebody has set."""
        for oid, template in way.writes:
            if template.argument is None and not template.matches(self._value(oid, settings) or 0):
                return False
        named = {oid for oid, _ in way.writes}
        for other in self.ways:
            if other.trigger == way.trigger and way.writes[-1][1].argument is not None:
                for oid, template in other.writes:
                    if oid not in named and template.argument is None and oid in {*settings, *self._settings}:
                        return False
        return True

    def _fits(self, way: Way, settings: Mapping[Oid, Setting]) -> bool:
        for oid, template in way.writes:
            value = self._value(oid, settings)
            if value is None:
                # An argument that nobody has set takes what the catalogue has for it.
                if template.argument is None or template.argument.default is None:
                    return False
            elif not template.matches(value):
                return False
        return True

    def _value(self, oid: Oid, settings: Mapping[Oid, Setting]) -> Setting | None:
        return settings.get(oid, self._settings.get(oid, self._beforehand.get(oid)))

    def _arguments(self, way: Way, settings: Mapping[Oid, Setting]) -> Mapping[str, Value]:
        arguments = dict(way.fixed)
        for oid, template in way.writes:
            value = self._value(oid, settings)
            if template.argument is not None and isinstance(value, int):
                scaled = value / template.factor
                arguments[template.argument.name] = int(scaled) if scaled.is_integer() else scaled
        return arguments


def _read(one: Variable, tag: Tag) -> Setting | Status:
    if one.tag != tag:
        return Status.WRONG_TYPE
    try:
        return read_name(one.content) if tag is Tag.OID else read_integer(one.content)
    except BerError:
        return Status.WRONG_ENCODING


def ways(orders: Iterable[OrderRow], mibs: Iterable[Mib], catalogue: Catalogue) -> list[Way]:
    """Work out the ways to give the commands for which these MIBs have objects."""
    served = {mib.name: mib for mib in mibs}
    found: list[Way] = []
    for row in orders:
        definition = catalogue.command(row.kind, row.command)
        if row.mib not in served or definition is None:
            continue
        arguments = {argument.name: argument for argument in definition.arguments}
        objects = {f"{one.oid}.{one.index}" for one in served[row.mib].rows if one.writable and not one.columnar}
        part = None if row.number is None else Part(row.kind, row.number)
        for fixed in _fillings([oid for oid, _ in row.writes], arguments):
            names = [_fill(oid, fixed) for oid, _ in row.writes]
            if objects.issuperset(names):
                writes = tuple(
                    (oid_of(oid), _template(text, arguments)) for oid, (_, text) in zip(names, row.writes, strict=True)
                )
                guard = None if row.guard is None else oid_of(row.guard)
                found.append(Way(row.command, definition.group, part, writes, guard, fixed))
    return found


def _fillings(oids: Iterable[str], arguments: Mapping[str, Argument]) -> Iterable[Mapping[str, Value]]:
    """Give what may stand in the names of the objects: no argument, or each number that one may be."""
    names = {match[1] for oid in oids for match in _PLACE.finditer(oid)}
    if not names:
        return [{}]
    (one,) = names
    argument = arguments[one]
    return [{one: number} for number in range(int(argument.minimum), int(argument.maximum) + 1)]


def _fill(oid: str, fixed: Mapping[str, Value]) -> str:
    def put(match: re.Match[str]) -> str:
        return str(int(fixed[match[1]]) + int(match[3] or 0))

    return _PLACE.sub(put, oid)


def _template(text: str, arguments: Mapping[str, Argument]) -> Template:
    match = _PLACE.fullmatch(text)
    if match is None:
        return Template(oid_of(text) if "." in text else int(text))
    return Template(argument=arguments[match[1]], factor=int(match[3] or 1))


def oid_of(text: str) -> Oid:
    """Take a dotted name apart."""
    return tuple(int(part) for part in text.split("."))


__all__ = [
    "NO_TEST",
    "Accepted",
    "Given",
    "Lock",
    "Orders",
    "Refused",
    "Setting",
    "Template",
    "Way",
    "oid_of",
    "ways",
]
