"""What the bridge says, as JSON: devices, readings, conditions, events and the messages made of them."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from ridethrough.catalogue import Role
from ridethrough.config import ConfigureError
from ridethrough.events.event import Event
from ridethrough.site import Alert, CommandError, CommandResult, ConditionState, Device, DeviceId, Reading

from .limits import API_VERSION

type Json = dict[str, Any]
"""The edge: what is about to be written as JSON."""

API: Mapping[str, int] = {"min": API_VERSION, "max": API_VERSION}
LARGEST_EXACT = 2**53
"""Beyond this many clients read a JSON integer as something else."""


def encode(message: Json) -> bytes:
    """Write a message as UTF-8 JSON. Text that is not Unicode and integers too large are mended, not refused.

    Devices say such things, and one of them must not keep the rest of the site from being heard.
    """
    try:
        return orjson.dumps(message)
    except orjson.JSONEncodeError:
        return orjson.dumps(_mended(message))


def _mended(item: Any) -> Any:
    match item:
        case dict():
            return {_mended(key): _mended(value) for key, value in item.items()}
        case list():
            return [_mended(value) for value in item]
        case str():
            return item.encode("utf-8", "replace").decode()
        case int() if abs(item) > LARGEST_EXACT:
            return float(item) if abs(item) < 10**308 else None
    return item


def device(row: Device) -> Json:
    """Write a device as in `$defs/Device`."""
    return {
        "id": row.id,
        "key": row.key,
        "kind": row.kind,
        "name": row.name,
        "parent": row.parent,
        "manufacturer": row.manufacturer,
        "model": row.model,
        "serial": row.serial,
        "firmware": row.firmware,
        "commands": sorted(row.commands),
    }


def reading(row: Reading) -> Json:
    """Write a reading as in `$defs/Reading`."""
    return {"value": row.value, "quality": row.quality, "at": row.measured_at.timestamp(), "source": row.source}


def condition(row: ConditionState) -> Json:
    """Write a condition as in `$defs/ConditionState`."""
    return {"active": row.active, "quality": row.quality, "since": row.since.timestamp()}


def hello(bridge: DeviceId, name: str, version: str) -> bytes:
    """Say who the bridge is; the first message."""
    return encode({"type": "hello", "api": API, "bridge": {"id": bridge, "name": name, "version": version}})


def ready(role: Role, *, configure: bool = True) -> bytes:
    """Say that the token is good for `role`, and what this bridge understands beyond the first ones of this version."""
    features = ["configure"] if configure else []
    return encode({"type": "ready", "role": role, "api": API_VERSION, "features": features})


def event(row: Event) -> bytes:
    """Write an event as in `$defs/Event`."""
    return encode(
        {
            "type": "event",
            "seq": row.seq,
            "at": row.at.timestamp(),
            "kind": row.kind,
            "device": row.device,
            "key": row.key,
            "edge": row.edge,
            "severity": row.severity,
            "details": dict(row.details),
        }
    )


def result(number: int, outcome: CommandResult | CommandError) -> bytes:
    """Say how the client's command `number` ended."""
    message: Json = {"type": "result", "id": number}
    match outcome:
        case CommandResult():
            message |= {"ok": True, "message": outcome.message, "confirmed": outcome.confirmed}
        case CommandError():
            message |= {"ok": False, "error": {"code": outcome.code, "message": str(outcome)}}
    return encode(message)


def configured(number: int, outcome: Mapping[str, object] | ConfigureError) -> bytes:
    """Answer the client's configure `number`."""
    message: Json = {"type": "configured", "id": number}
    match outcome:
        case ConfigureError(code=code, field=field):
            error = {"code": code, "message": str(outcome)} | ({} if field is None else {"field": field})
            message |= {"ok": False, "error": error}
        case _:
            message |= {"ok": True, "data": dict(outcome)}
    return encode(message)


def delta(
    since: int,
    revision: int,
    devices: Mapping[DeviceId, Device | None],
    points: Mapping[tuple[DeviceId, str], Reading],
    conditions: Mapping[tuple[DeviceId, str], ConditionState],
) -> bytes:
    """Say what changed between two revisions."""
    return encode(
        {
            "type": "delta",
            "since": since,
            "revision": revision,
            "devices": {key: None if row is None else device(row) for key, row in devices.items()},
            "points": _by_device((owner, key, reading(row)) for (owner, key), row in points.items()),
            "conditions": _by_device((owner, key, condition(row)) for (owner, key), row in conditions.items()),
        }
    )


def _by_device(rows: Iterable[tuple[DeviceId, str, Json]]) -> Json:
    nested: dict[str, Json] = {}
    for owner, key, row in rows:
        nested.setdefault(owner, {})[key] = row
    return nested


def points(rows: Mapping[str, Reading]) -> bytes:
    """Write all readings of one device; a part of a snapshot."""
    return encode({key: reading(row) for key, row in rows.items()})


def conditions(rows: Mapping[str, ConditionState]) -> bytes:
    """Write all conditions of one device; a part of a snapshot."""
    return encode({key: condition(row) for key, row in rows.items()})


def snapshot(
    revision: int,
    seq: int,
    devices: Iterable[Device],
    points_of: Mapping[DeviceId, bytes],
    conditions_of: Mapping[DeviceId, bytes],
) -> bytes:
    """Write one consistent cut, put together from parts that are JSON already."""
    return encode(
        {
            "type": "snapshot",
            "revision": revision,
            "seq": seq,
            "devices": [orjson.Fragment(encode(device(row))) for row in devices],
            "points": {key: orjson.Fragment(text) for key, text in points_of.items()},
            "conditions": {key: orjson.Fragment(text) for key, text in conditions_of.items()},
        }
    )


def alerts(rows: Iterable[Alert]) -> Json:
    """Write what a device remembers itself, for a download."""
    return {"alerts": [{"number": row.number, "at": row.at, "edge": row.edge, "text": row.text} for row in rows]}


def failed(error: CommandError) -> Json:
    """Say why a download is not to be had, as a command's result does."""
    return {"error": {"code": error.code, "message": str(error)}}


__all__ = [
    "API",
    "alerts",
    "condition",
    "conditions",
    "configured",
    "delta",
    "device",
    "encode",
    "event",
    "failed",
    "hello",
    "points",
    "reading",
    "ready",
    "result",
    "snapshot",
]
