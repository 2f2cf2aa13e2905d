"""The simulated UPS, as its control endpoint shows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request on the simulated line and what was answered."""

    number: int
    request: str
    answer: str
    last_byte: float
    """Epoch seconds at which the last byte of the answer went onto the line."""

    @property
    def status_bits(self) -> str | None:
        """The eight status bits of an answer to Q1, else None."""
        text = self.answer.strip()
        return text[-8:] if text.startswith("(") and set(text[-8:]) <= {"0", "1"} else None


class Simulator:
    """Talks to a simulator's control endpoint."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        """`url` is the control endpoint without a path."""
        self._session = session
        self._url = url

    async def set(self, **what: Any) -> None:
        """Change the physical world: `mains`, `load`, `charge`, `line` and more."""
        await self._post("/set", what)

    async def speed(self, factor: float) -> None:
        """Let the model's time run this much faster than ours."""
        await self._post("/speed", {"factor": factor})

    async def exchanges(self, after: int = 0) -> list[Exchange]:
        """Ask for what went over the line after exchange number `after`, oldest first."""
        async with self._session.get(f"{self._url}/exchanges", params={"after": after}) as response:
            response.raise_for_status()
            rows = (await response.json())["exchanges"]
        # What the line swallowed has no moment at which it was sent.
        return [
            Exchange(row["number"], row["request"], row["answer"], row["t_last_byte"])
            for row in rows
            if row["t_last_byte"] is not None
        ]

    async def _post(self, path: str, body: Mapping[str, Any]) -> None:
        async with self._session.post(f"{self._url}{path}", json=dict(body)) as response:
            if response.status != 200:
                raise RuntimeError(f"The simulator answered {response.status}: {await response.text()}")
