"""Frames: one JSON object on one line, at most 8,192 bytes (PROTOCOL.md, "The connection")."""

from __future__ import annotations

import json
from typing import Any

LIMIT = 8192
"""Bytes of a frame, with the newline at its end."""
DEPTH = 8
"""Objects and lists within one another."""


class FrameError(Exception):
    """What came is no frame; the connection ends."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a key that comes twice: two readers could take different ones."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise FrameError("a key comes twice")
    return found


def _constant(text: str) -> None:
    raise FrameError(f"{text} is no JSON")


def parse(line: bytes) -> dict[str, Any]:
    """Read one frame; raises `FrameError` for whatever else came."""
    if len(line) > LIMIT:
        raise FrameError(f"longer than {LIMIT} bytes")
    if not line.endswith(b"\n"):
        raise FrameError("cut off")
    try:
        frame = json.loads(line.decode("utf-8"), object_pairs_hook=_object, parse_constant=_constant)
    except RecursionError:
        raise FrameError("nested too deeply") from None
    except ValueError as error:
        raise FrameError(f"no JSON in UTF-8: {error}") from None
    if not isinstance(frame, dict):
        raise FrameError("no JSON object")
    if _is_deep(frame):
        raise FrameError("nested too deeply")
    return frame


def _is_deep(frame: dict[str, Any]) -> bool:
    """Tell whether there is anything below `DEPTH`. How deep the reader itself goes differs from Python to Python."""
    level: list[Any] = [frame]
    for _ in range(DEPTH):
        level = [
            part
            for whole in level
            for part in (whole.values() if isinstance(whole, dict) else whole)
            if isinstance(part, (dict, list))
        ]
    return bool(level)


def encode(frame: dict[str, Any]) -> bytes:
    """Write one frame."""
    return json.dumps(frame, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"


__all__ = ["LIMIT", "FrameError", "encode", "parse"]
