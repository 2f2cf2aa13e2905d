"""Samples of one string of blocks as compact bytes: a column for each quantity of each block, differences, deflated.

In float operation hardly anything moves, so that the differences from one sample to the next are small numbers, and those
of one quantity are alike: about a byte for a block and sample with all its quantities. Pure.
"""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
import lzma
import struct
import sys
import zlib

from ridethrough.battery.board import Board
from ridethrough.battery.records import Entry

type Column = Sequence[float | None]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

OF_STRING: Mapping[str, int] = {"current": 100, "voltage": 100, "charge": 10}
"""Quantities of a string, and how many steps there are to A, V and percent."""
OF_BLOCK: Mapping[str, int] = {"voltage": 1000, "temperature": 10, "impedance": 100, "duty": 1, "charge": 10}
"""Quantities of a block, and how many steps there are to V, °C, mΩ and percent."""
LARGEST = 0x3FFFFFFF
"""Steps that a value may have; what is beyond is no measurement and is kept as unknown."""
LONGEST = 0x7FFFFFFF
"""Milliseconds from the first to the last sample of one part, at most."""
_HEAD = struct.Struct("<BHHH")
"""Packing, samples, number of the first block, blocks."""
_DEFLATED, _DENSE = 1, 2
_LEVEL = 0x80
"""Beside the width of a column: all its codes count from its middle, not each from the one before."""
DENSE = 64
"""Samples from which on the slower, denser packing is worth its time."""
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 1 << 20, "lc": 0, "lp": 0, "pb": 0}]
_WIDTHS = {1: "B", 2: "H", 4: "I"}


class BlocksError(ValueError):
    """The bytes are none that were packed here."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What one string was like at one time; None is not known."""

    string: int
    first: int
    """Number of its first block."""
    voltage: Column
    """V of each block, from the first on; so all the columns."""
    temperature: Column
    """°C."""
    impedance: Column
    """mΩ."""
    duty: Column
    """Percent of the equalising power."""
    charge: Column
    """Percent."""
    string_current: float | None = None
    """A; negative while discharging."""
    string_voltage: float | None = None
    """V."""
    string_charge: float | None = None
    """Percent."""

    @property
    def shape(self) -> tuple[int, int]:
        """Number of the first block, and how many there are."""
        return self.first, len(self.voltage)


@dataclass(frozen=True, slots=True)
class Packed:
    """Samples of one string and one shape, unpacked: times, and columns of steps."""

    first: int
    blocks: int
    times: list[int]
    """Milliseconds since 1970 (UTC)."""
    columns: list[list[int | None]]
    """Those of the string, then those of the blocks: all voltages, all temperatures and so on."""


def samples_of(board: Board) -> list[Sample]:
    """Take what is known of all blocks now."""
    layout = board.layout
    found = []
    for string in range(1, layout.strings + 1):
        members = layout.members(string)
        part = slice(members.start, members.stop)
        volts = board.voltage[part]
        known = [value for value in volts if value is not None]
        found.append(
            Sample(
                string,
                members.start,
                volts,
                board.temperature[part],
                board.impedance[part],
                board.duty[part],
                board.charge[part],
                board.current[string],
                sum(known) if len(known) == len(volts) else None,
                board.string_charge[string],
            )
        )
    return found


def stamp(at: datetime) -> int:
    """Turn an instant into milliseconds since 1970."""
    return (at - _EPOCH) // _MILLISECOND


def instant(milliseconds: int) -> datetime:
    """Turn milliseconds since 1970 into an instant in UTC."""
    return _EPOCH + milliseconds * _MILLISECOND


def packed(samples: Sequence[tuple[int, Sample]]) -> Packed:
    """Put samples of one string and shape into columns."""
    first, blocks = samples[0][1].shape
    columns: list[list[int | None]] = [
        _steps((getattr(sample, f"string_{name}") for _, sample in samples), steps) for name, steps in OF_STRING.items()
    ]
    for name, steps in OF_BLOCK.items():
        rows = [getattr(sample, name) for _, sample in samples]
        columns += [_steps((row[block] for row in rows), steps) for block in range(blocks)]
    return Packed(first, blocks, [at for at, _ in samples], columns)


def joined(parts: Sequence[Packed]) -> Packed:
    """Put several of one shape together, in this order."""
    first = parts[0]
    columns: list[list[int | None]] = [
        [step for part in parts for step in part.columns[index]] for index in range(len(first.columns))
    ]
    return Packed(first.first, first.blocks, [at for part in parts for at in part.times], columns)


def encoded(part: Packed) -> bytes:
    """Write columns as bytes."""
    begin = part.times[0]
    starts, widths, body = array("i"), bytearray(), bytearray()
    times = array("I", (at - begin for at in part.times))
    for column in part.columns:
        start, codes, level = _coded(column)
        most = max(codes)
        width = 1 if most < 0x100 else 2 if most < 0x10000 else 4
        starts.append(start)
        widths.append(width | _LEVEL * level)
        body += _little(array(_WIDTHS[width], codes))
    raw = _little(times) + _little(starts) + bytes(widths) + bytes(body)
    if len(part.times) < DENSE:
        return _HEAD.pack(_DEFLATED, len(part.times), part.first, part.blocks) + zlib.compress(raw, 9)
    dense = lzma.compress(raw, lzma.FORMAT_RAW, filters=_FILTERS)
    return _HEAD.pack(_DENSE, len(part.times), part.first, part.blocks) + dense


def decoded(data: bytes, begin: int) -> Packed:
    """Read bytes that `encoded` has written of samples from `begin` on. Raises BlocksError."""
    try:
        version, count, first, blocks = _HEAD.unpack_from(data)
        if version not in (_DEFLATED, _DENSE):
            raise BlocksError(f"A part of the battery log has format {version}, which this bridge does not know.")
        packed_ = data[_HEAD.size :]
        dense = version == _DENSE
        raw = lzma.decompress(packed_, lzma.FORMAT_RAW, filters=_FILTERS) if dense else zlib.decompress(packed_)
        body = memoryview(raw)
        number = len(OF_STRING) + len(OF_BLOCK) * blocks
        times = _read("I", body[: 4 * count])
        starts = _read("i", body[4 * count : 4 * (count + number)])
        widths = bytes(body[4 * (count + number) : 4 * (count + number) + number])
        position = 4 * (count + number) + number
        columns: list[list[int | None]] = []
        for start, kind in zip(starts, widths, strict=True):
            width = kind & ~_LEVEL
            codes = _read(_WIDTHS[width], body[position : position + width * count])
            position += width * count
            columns.append(_undone(codes, start, level=bool(kind & _LEVEL)))
        if len(columns) != number or any(len(column) != count for column in columns):
            raise BlocksError("A part of the battery log is cut off.")
    except (struct.error, zlib.error, lzma.LZMAError, KeyError, ValueError) as error:
        raise (
            error if isinstance(error, BlocksError) else BlocksError("A part of the battery log is damaged.")
        ) from error
    return Packed(first, blocks, [begin + time for time in times], columns)


def entries(part: Packed, string: int, module: int | None, begin: int, end: int) -> list[Entry]:
    """List what there is of a block, or of a string with its blocks, from `begin` to `end` inclusive."""
    found: list[Entry] = []
    if module is None:
        wanted = range(part.blocks)
    else:
        wanted = range(module - part.first, module - part.first + 1)
        if not 0 <= wanted.start < part.blocks:
            return found
    strings = list(zip(OF_STRING.items(), part.columns, strict=False))
    offset = len(OF_STRING)
    for index, at in enumerate(part.times):
        if not begin <= at <= end:
            continue
        when = instant(at)
        if module is None:
            values = {name: _value(column[index], steps) for (name, steps), column in strings}
            found.append(Entry(when, string, None, values))
        for block in wanted:
            values = {
                name: _value(part.columns[offset + quantity * part.blocks + block][index], steps)
                for quantity, (name, steps) in enumerate(OF_BLOCK.items())
            }
            found.append(Entry(when, string, part.first + block, values))
    return found


def _steps(values: Iterable[float | None], steps: int) -> list[int | None]:
    return [_step(value, steps) for value in values]


def _step(value: float | None, steps: int) -> int | None:
    # Not a number differs from itself.
    if value is None or value != value or abs(value) * steps > LARGEST:  # noqa: PLR0124
        return None
    return round(value * steps)


def _value(step: int | None, steps: int) -> float | None:
    return None if step is None else step / steps


def _coded(column: Sequence[int | None]) -> tuple[int, list[int], bool]:
    """Give what is counted from, the codes, and whether all are counted from there or each from the one before.

    What only has noise is nearer to its middle than to the value before; what drifts is not. 0 is not known.
    """
    known = [step for step in column if step is not None]
    start = sorted(known)[len(known) // 2] if known else 0
    level = sum(abs(step - start) for step in known) <= sum(abs(step - last) for last, step in pairwise(known))
    codes, last = [], start
    for step in column:
        if step is None:
            codes.append(0)
        else:
            change = step - last
            codes.append(1 + (2 * change if change >= 0 else -2 * change - 1))
            last = start if level else step
    return start, codes, level


def _undone(codes: Iterable[int], start: int, *, level: bool) -> list[int | None]:
    found: list[int | None] = []
    last = start
    for code in codes:
        if code == 0:
            found.append(None)
        else:
            step = last + (-(code // 2) if code % 2 == 0 else code // 2)
            found.append(step)
            last = start if level else step
    return found


def _little(numbers: array[int]) -> bytes:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def _read(kind: str, data: memoryview) -> array[int]:
    numbers = array(kind)
    numbers.frombytes(data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


__all__ = [
    "LONGEST",
    "OF_BLOCK",
    "OF_STRING",
    "BlocksError",
    "Packed",
    "Sample",
    "decoded",
    "encoded",
    "entries",
    "instant",
    "joined",
    "packed",
    "samples_of",
    "stamp",
]
