"""CSV (RFC 4180) of batteries: what was logged, and the inventory, which also comes back from a spreadsheet."""

from collections.abc import Iterable, Sequence
import csv
import io

from ridethrough.battery.records import BLANK, COLUMNS, LONGEST_NAME, LONGEST_NOTE, Entry, Sheet
from ridethrough.events.controls import without_controls
from ridethrough.events.sheets import FORMULA, cell, lines

LOG_COLUMNS = (
    "at",
    "string",
    "module",
    "voltage",
    "temperature",
    "impedance",
    "equalizing",
    "charge",
    "current",
)
"""A line without a module is the string itself. V, °C, mΩ, percent, percent, A; empty where it is not known."""
_VALUES = ("voltage", "temperature", "impedance", "duty", "charge", "current")
_MODULE = "module"
FAULTS = 20
"""Faults that are told at once."""


class SheetError(ValueError):
    """An inventory that cannot be taken; a sentence for each line that is wrong."""


def log_lines(entries: Iterable[Entry]) -> str:
    """Write lines of the log, without a heading."""
    return lines(
        (
            entry.at.isoformat(timespec="milliseconds"),
            entry.string,
            "" if entry.module is None else entry.module,
            *("" if (value := entry.values.get(name)) is None else f"{value:g}" for name in _VALUES),
        )
        for entry in entries
    )


def inventory_lines(sheet: Sheet, modules: int) -> str:
    """Write an inventory with a line for each block that there is or of which something is noted."""
    rows = [(_MODULE, *(cell(name) for name in sheet.names))]
    numbers = sorted({*range(1, modules + 1), *sheet.notes})
    rows += [(str(number), *(cell(text) for text in sheet.notes.get(number, BLANK))) for number in numbers]
    return lines(rows)


def read_inventory(content: bytes, modules: int) -> Sheet:
    """Read an inventory as a spreadsheet has it: commas or semicolons, with a heading.

    Raises SheetError, naming the lines.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SheetError(f"line {line}: this is not UTF-8; save the sheet as CSV in UTF-8.") from error
    heading = text.split("\n", 1)[0]
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=";" if heading.count(";") > heading.count(",") else ","
    )
    faults: list[str] = []
    names: tuple[str, ...] | None = None
    notes: dict[int, tuple[str, ...]] = {}
    try:
        for row in reader:
            if not any(row):
                continue
            fault: str | None
            if names is None:
                names, fault = _names(row)
                if fault is not None:
                    raise SheetError(f"line {reader.line_num}: {fault}")
                continue
            number, fault = _row(row, modules, notes)
            if fault is not None:
                faults.append(f"line {reader.line_num}: {fault}")
                if len(faults) >= FAULTS:
                    break
            elif any(texts := _texts(row[1:])):
                notes[number] = texts
            else:
                notes.setdefault(number, BLANK)
    except csv.Error as error:
        raise SheetError(f"line {reader.line_num}: {error}.") from error
    if faults:
        raise SheetError("\n".join(faults))
    if names is None:
        raise SheetError(f"line 1: the sheet is empty; the first line must be {_MODULE} and the names of the columns.")
    return Sheet(names, {number: texts for number, texts in notes.items() if any(texts)})


def _names(row: Sequence[str]) -> tuple[tuple[str, ...], str | None]:
    names = _texts(row[1:])
    if row[0].strip().lower() != _MODULE:
        return BLANK, f"the first line must begin with {_MODULE}, not {row[0][:40]!r}."
    if any(row[1 + COLUMNS :]):
        return BLANK, f"there can be {COLUMNS} columns, not {len(row) - 1}."
    long = next((name for name in names if len(name) > LONGEST_NAME), None)
    if long is not None:
        return BLANK, f"the name {long[:40]!r}… has {len(long)} characters; {LONGEST_NAME} are permitted."
    return names, None


def _row(row: Sequence[str], modules: int, notes: Iterable[int]) -> tuple[int, str | None]:
    text = row[0].strip()
    if not (text.isascii() and text.isdecimal() and len(text) <= 4 and 1 <= int(text) <= modules):
        return 0, f"{row[0][:40]!r} is no module; permitted: 1 to {modules}."
    number = int(text)
    if number in notes:
        return number, f"module {number} stands there already."
    if any(row[1 + COLUMNS :]):
        return number, f"module {number} has {len(row) - 1} notes; there are {COLUMNS} columns."
    long = next((note for note in _texts(row[1:]) if len(note) > LONGEST_NOTE), None)
    if long is not None:
        return number, f"a note of module {number} has {len(long)} characters; {LONGEST_NOTE} are permitted."
    return number, None


def _texts(cells: Sequence[str]) -> tuple[str, ...]:
    """Take cells as they were before `cell` kept a spreadsheet from taking them for formulas."""
    texts = [text[1:] if text[:1] == "'" and text[1:].startswith(FORMULA) else text for text in cells[:COLUMNS]]
    texts = [without_controls(text).strip() for text in texts]
    return (*texts, *BLANK[len(texts) :])


__all__ = ["LOG_COLUMNS", "SheetError", "inventory_lines", "log_lines", "read_inventory"]
