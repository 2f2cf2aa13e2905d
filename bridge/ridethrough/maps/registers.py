"""Register maps: which register of a Modbus device holds which point, read from the CSV files in `modbus/`.

The columns are described in `_COLUMNS`. Who reads a device by a map and who serves one by it both find here what the
registers mean; how their words become values is no matter of this module.
"""

from collections.abc import Iterator, Mapping
import csv
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
import math
from pathlib import Path

from ridethrough.catalogue import load_catalogue

_COLUMNS = {
    "address": "decimal protocol address from 0, or a range of single registers, e.g. 50000-50063",
    "repeat": "times:stride, or times:stride:first; the row again, each stride addresses on, counted from first",
    "functions": "the function codes that read it; the first is the usual one",
    "type": "u16 s16 u32 s32 f32 text",
    "count": "registers; needed for text",
    "order": "high or low: which word of 32 bits comes first",
    "scale": "what makes the raw number one in the catalogue's unit; behind a blank what is added to that, e.g. 0.5 -39",
    "absent": "raw numbers that mean that there is no value",
    "device": "kind:number of a child device; empty: the device itself",
    "point": "a point of the catalogue",
    "condition": "a condition of the catalogue",
    "match": "when the condition or the flag holds: empty is not 0, else 0, =2 or &0x08",
    "values": "the options of an enum, e.g. 0=line 1=battery",
    "bits": "a table of bits.csv",
    "writable": "yes or empty",
    "name": "as the maker prints it",
    "note": "what is to be known of the row",
    "source": "where it is printed",
}
"""The columns of a map; {n} counts the registers of a range from 1, {m} the repetitions from 1 or from first, in texts."""

ADDRESSES = 65536
"""How many addresses there are for each kind of register."""
LARGEST = 1024 * 1024
"""Characters of a map that a person has written."""
FUNCTIONS = (1, 2, 3, 4)
"""Read coils, discrete inputs, holding registers, input registers."""


class MapError(ValueError):
    """A map file contradicts itself or the format."""


class RegisterType(StrEnum):
    """How the words of a register are to be understood."""

    U16 = "u16"
    S16 = "s16"
    U32 = "u32"
    S32 = "s32"
    F32 = "f32"
    TEXT = "text"

    @property
    def words(self) -> int:
        """Registers that one takes; 0 where the map says how many."""
        return {"u16": 1, "s16": 1, "text": 0}.get(self.value, 2)

    @property
    def signed(self) -> bool:
        """Whether the raw number may be negative."""
        return self in (RegisterType.S16, RegisterType.S32, RegisterType.F32)


class WordOrder(StrEnum):
    """Which of the two words of a 32-bit number comes first."""

    HIGH = "high"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class Match:
    """When a raw number means that a condition holds."""

    mask: int | None = None
    """Holds when one of these bits is set."""
    equal: int | None = None
    """Holds when the number is this one."""

    def holds(self, raw: int) -> bool:
        """Tell whether it is so."""
        if self.mask is not None:
            return bool(raw & self.mask)
        return raw == self.equal if self.equal is not None else raw != 0


@dataclass(frozen=True, slots=True)
class Bit:
    """What a bit of a status word says."""

    mask: int
    condition: str
    """Key of the catalogue."""
    note: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Device:
    """A child device that registers belong to."""

    kind: str
    number: str


@dataclass(frozen=True, slots=True, eq=False)
class Register:
    """One row of a map, ranges and repetitions unfolded; equal only to itself."""

    address: int
    functions: tuple[int, ...]
    type: RegisterType
    count: int
    """Registers that it takes, from `address` on."""
    order: WordOrder
    scale: float
    absent: frozenset[int]
    device: Device | None
    """None: the device itself."""
    point: str | None
    condition: str | None
    match: Match
    values: Mapping[int, str]
    """Raw number to the option of an enum; empty for other points."""
    bits: tuple[Bit, ...]
    writable: bool
    name: str
    note: str
    source: str
    line: int = 0
    """Of the file; of several registers that stand for one point, the one that is printed first goes before."""
    offset: float = 0.0
    """What is added after scaling."""

    @property
    def end(self) -> int:
        """The first address after it."""
        return self.address + self.count

    @property
    def is_bit(self) -> bool:
        """Whether it is a coil or a discrete input."""
        return self.functions[0] in (1, 2)


@dataclass(frozen=True, slots=True)
class Profile:
    """What a kind of device tells over Modbus."""

    name: str
    kind: str
    """The catalogue's kind of the device itself: ups, transfer_switch or battery_system."""
    title: str
    makes: str
    """The makes that speak it."""
    source: str
    registers: tuple[Register, ...] = field(hash=False)
    """By address."""


@cache
def profile_names(*kinds: str) -> Mapping[str, str]:
    """Name every profile there is, or those of devices of these kinds, with its title."""
    return {row["profile"]: row["title"] for row in _profile_rows() if not kinds or row["kind"] in kinds}


@cache
def load_profile(name: str) -> Profile:
    """Read a profile. Raises KeyError when there is none such, MapError when its file is wrong."""
    row = next((row for row in _profile_rows() if row["profile"] == name), None)
    if row is None:
        raise KeyError(name)
    registers = read_registers(
        f"{name}.csv", _folder().joinpath(f"{name}.csv").read_text(encoding="utf-8"), load_bits()
    )
    return Profile(name, row["kind"], row["title"], row["makes"], row["source"], registers)


def read_own_profile(path: Path, kind: str) -> Profile:
    """Read a map that a person has written, of a device of this kind.

    Raises OSError, UnicodeDecodeError, or MapError also where a row names what the catalogue does not know, since
    nobody has tested it.
    """
    with path.open(encoding="utf-8") as file:
        text = file.read(LARGEST + 1)
    if len(text) > LARGEST:
        raise MapError(f"{path.name} is larger than {LARGEST // 1024} KiB; it is no register map")
    registers = read_registers(path.name, text, load_bits())
    if not registers:
        raise MapError(f"{path.name} has no rows")
    catalogue = load_catalogue()
    for row in registers:
        owner = kind if row.device is None else row.device.kind
        if owner not in catalogue.kinds:
            raise MapError(f"{path.name}, line {row.line}: there is no kind of device called {owner}")
        conditions = [bit.condition for bit in row.bits] + ([] if row.condition is None else [row.condition])
        unknown = [key for key in conditions if catalogue.condition(owner, key) is None]
        if row.point is not None and catalogue.point(owner, row.point) is None:
            unknown.append(row.point)
        if unknown:
            raise MapError(f"{path.name}, line {row.line}: a {owner} has no {unknown[0]}")
    if clash := overlapping(registers):
        first, second = clash[0]
        raise MapError(f"{path.name}, line {second.line}: it claims a part of line {first.line}'s registers")
    return Profile(path.stem, kind, path.stem, "", path.name, registers)


def read_registers(file: str, text: str, bits: Mapping[str, tuple[Bit, ...]]) -> tuple[Register, ...]:
    """Read the rows of a map, sorted by address. Raises MapError, naming the file and the line."""
    registers: list[Register] = []
    for line, row in _rows(file, text, tuple(_COLUMNS)):
        try:
            registers += _unfold(row, bits, line)
        except (ValueError, KeyError) as error:
            raise MapError(f"{file}, line {line}: {error}") from error
    return tuple(sorted(registers, key=lambda register: register.address))


def overlapping(registers: tuple[Register, ...]) -> list[tuple[Register, Register]]:
    """Find registers that claim one address for different things: the same word may be shown twice, as bits or whole.

    Coils and registers have addresses of their own; so have the functions of each, when the map names only one.
    """
    found = []
    for position, first in enumerate(registers):
        for second in registers[position + 1 :]:
            if second.address >= first.end:
                break
            shared = (second.address, second.count) == (first.address, first.count)
            if not shared and set(first.functions) & set(second.functions):
                found.append((first, second))
    return found


def _folder() -> Traversable:
    return resources.files(__package__).joinpath("modbus")


def _profile_rows() -> list[dict[str, str]]:
    text = _folder().joinpath("profiles.csv").read_text(encoding="utf-8")
    return [row for _, row in _rows("profiles.csv", text, ("profile", "kind", "title", "makes", "source"))]


@cache
def load_bits() -> Mapping[str, tuple[Bit, ...]]:
    """Read the tables of bits that come with the maps. Raises MapError."""
    text = _folder().joinpath("bits.csv").read_text(encoding="utf-8")
    return read_bits("bits.csv", text)


def read_bits(file: str, text: str) -> Mapping[str, tuple[Bit, ...]]:
    """Read the tables of bits. Raises MapError, naming the file and the line."""
    tables: dict[str, tuple[Bit, ...]] = {}
    for line, row in _rows(file, text, ("table", "mask", "condition", "note", "source")):
        try:
            bit = Bit(int(row["mask"], 0), row["condition"], row["note"], row["source"])
        except ValueError as error:
            raise MapError(f"{file}, line {line}: {error}") from error
        tables[row["table"]] = (*tables.get(row["table"], ()), bit)
    return tables


def _rows(file: str, text: str, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Give the rows with their line numbers; blank lines and those that begin with # do not count."""
    numbered = [
        (number, line)
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not numbered or tuple(next(csv.reader([numbered[0][1]]))) != columns:
        raise MapError(f"{file}: the first line must be {','.join(columns)}")
    for number, line in numbered[1:]:
        cells = next(csv.reader([line], strict=True))
        if len(cells) != len(columns):
            raise MapError(f"{file}, line {number}: {len(cells)} cells instead of {len(columns)}")
        yield number, dict(zip(columns, (cell.strip() for cell in cells), strict=True))


def _unfold(row: Mapping[str, str], bits: Mapping[str, tuple[Bit, ...]], line: int) -> Iterator[Register]:
    first, _, last = row["address"].partition("-")
    times, stride, start = _repeat(row["repeat"])
    for m in range(times):
        for n, address in enumerate(range(int(first), int(last or first) + 1)):
            yield _register(row, bits, line, address + m * stride, {"n": str(n + 1), "m": str(start + m)})


def _repeat(text: str) -> tuple[int, int, int]:
    """Read how many times a row stands, how many addresses on each time, and what the first is counted as."""
    if not text:
        return 1, 0, 1
    times, stride, *first = (int(number) for number in text.split(":"))
    if len(first) > 1:
        raise ValueError(f"repeat is times:stride or times:stride:first, not {text!r}")
    return times, stride, first[0] if first else 1


def _register(
    row: Mapping[str, str], bits: Mapping[str, tuple[Bit, ...]], line: int, address: int, counters: Mapping[str, str]
) -> Register:
    def text(column: str) -> str:
        filled = row[column]
        for name, number in counters.items():
            filled = filled.replace(f"{{{name}}}", number)
        return filled

    functions = tuple(int(word) for word in row["functions"].split())
    if not functions or not set(functions) <= set(FUNCTIONS):
        raise ValueError(f"functions must be some of {FUNCTIONS}, not {row['functions']!r}")
    kind = RegisterType(row["type"])
    count = int(row["count"] or kind.words)
    if count < 1 or (kind.words and count != kind.words):
        raise ValueError(f"{kind} cannot take {row['count'] or 'no'} registers")
    if not 0 <= address <= ADDRESSES - count:
        raise ValueError(f"there is no address {address}")
    if row["bits"] and row["bits"] not in bits:
        raise ValueError(f"there is no table {row['bits']} in bits.csv")
    if row["writable"] not in ("", "yes"):
        raise ValueError(f"writable must be yes or empty, not {row['writable']!r}")
    scale, offset = _scale(row["scale"])
    return Register(
        address=address,
        functions=functions,
        type=kind,
        count=count,
        order=WordOrder(row["order"] or "high"),
        scale=scale,
        absent=frozenset(int(word, 0) for word in row["absent"].split()),
        device=_device(text("device")),
        point=text("point") or None,
        condition=text("condition") or None,
        match=_match(row["match"]),
        values=_values(row["values"]),
        bits=bits.get(row["bits"], ()),
        writable=row["writable"] == "yes",
        name=text("name"),
        note=row["note"],
        source=row["source"],
        line=line,
        offset=offset,
    )


def _scale(text: str) -> tuple[float, float]:
    """Read the factor, and what is added behind it."""
    numbers = [float(word) for word in (text or "1").split()]
    if not 1 <= len(numbers) <= 2 or not all(map(math.isfinite, numbers)) or numbers[0] == 0:
        raise ValueError(f"scale must be a number other than 0, and may be followed by what is added, not {text!r}")
    return numbers[0], numbers[1] if len(numbers) == 2 else 0.0


def _device(text: str) -> Device | None:
    if not text:
        return None
    kind, separator, number = text.partition(":")
    if not (kind and separator and number):
        raise ValueError(f"a device is written kind:number, not {text!r}")
    return Device(kind, number)


def _match(text: str) -> Match:
    if text.startswith("&"):
        return Match(mask=int(text[1:], 0))
    return Match(equal=int(text.removeprefix("="), 0)) if text else Match()


def _values(text: str) -> Mapping[int, str]:
    pairs = (word.partition("=") for word in text.split())
    return {int(raw, 0): option for raw, _, option in pairs}


__all__ = [
    "Bit",
    "Device",
    "MapError",
    "Match",
    "Profile",
    "Register",
    "RegisterType",
    "WordOrder",
    "load_bits",
    "load_profile",
    "overlapping",
    "profile_names",
    "read_bits",
    "read_own_profile",
    "read_registers",
]
