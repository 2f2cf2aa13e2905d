"""The notes that people make about blocks (manual M:7077): five columns with a name, a text for each block in each."""

from collections.abc import Mapping
import json
import logging

from ridethrough.battery.records import BLANK, COLUMNS, RecordsError, Sheet
from ridethrough.site import DeviceId

from .database import StoreError
from .facts import Facts

_LOGGER = logging.getLogger(__name__)
_NAMES = "names"


class InventoryError(StoreError, RecordsError):
    """The notes cannot be read or written at the moment."""


class Inventory:
    """The notes of all battery systems, by the ids of these."""

    def __init__(self, facts: Facts) -> None:
        """Keep them among the facts of the store."""
        self._facts = facts

    async def sheet(self, system: DeviceId) -> Sheet:
        """Return everything that is noted of a system. Raises InventoryError."""
        names, notes = BLANK, {}
        for key, value in (await self._kept(system)).items():
            last = key.rpartition("/")[2]
            texts = _texts(key, value)
            if last == _NAMES:
                names = texts
            elif last.isdecimal() and any(texts):
                notes[int(last)] = texts
        return Sheet(names, dict(sorted(notes.items())))

    async def note(self, system: DeviceId, module: int, column: int, text: str) -> None:
        """Note something about a block; an empty text takes it away. Columns count from 1. Raises InventoryError."""
        await self._put(system, str(module), column, text)

    async def name(self, system: DeviceId, column: int, text: str) -> None:
        """Name a column. Raises InventoryError."""
        await self._put(system, _NAMES, column, text)

    async def replace(self, system: DeviceId, sheet: Sheet) -> None:
        """Put this in the place of everything that was noted, all or nothing. Raises InventoryError."""
        values: dict[str, str | None] = dict.fromkeys(await self._kept(system))
        values[_key(system, _NAMES)] = json.dumps(sheet.names, ensure_ascii=False)
        values |= {
            _key(system, str(module)): json.dumps(texts, ensure_ascii=False)
            for module, texts in sheet.notes.items()
            if any(texts)
        }
        await self._change(values)

    async def forget(self, system: DeviceId) -> None:
        """Forget a system. Raises InventoryError."""
        await self._change(dict.fromkeys(await self._kept(system)))

    async def _put(self, system: DeviceId, what: str, column: int, text: str) -> None:
        if not 1 <= column <= COLUMNS:
            raise ValueError(f"There are the columns 1 to {COLUMNS}, not {column}.")
        key = _key(system, what)
        kept = (await self._kept(system)).get(key)
        texts = list(BLANK if kept is None else _texts(key, kept))
        texts[column - 1] = text.strip()
        await self._change({key: json.dumps(texts, ensure_ascii=False) if any(texts) else None})

    async def _kept(self, system: DeviceId) -> Mapping[str, str]:
        try:
            return await self._facts.under(_key(system, ""))
        except StoreError as error:
            raise InventoryError(str(error)) from error

    async def _change(self, values: Mapping[str, str | None]) -> None:
        try:
            await self._facts.change(values)
        except StoreError as error:
            raise InventoryError(str(error)) from error


def _key(system: DeviceId, what: str) -> str:
    return f"inventory/{system}/{what}"


def _texts(key: str, value: str) -> tuple[str, ...]:
    try:
        texts = [str(text) for text in json.loads(value)]
    except TypeError, ValueError:
        _LOGGER.warning("The note %s is damaged and is left out", key)
        return BLANK
    return (*texts[:COLUMNS], *BLANK[len(texts) :])


__all__ = ["Inventory", "InventoryError"]
