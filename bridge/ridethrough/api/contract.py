"""The contract of the API as JSON Schema; clients, tests and documents take it from here."""

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

import orjson


@cache
def load_schema(message: str | None = None) -> Mapping[str, Any]:
    """Return the whole schema (draft 2020-12), or the one of a definition such as `ClientMessage` or `Device`.

    Raises KeyError when there is no such definition.
    """
    schema: dict[str, Any] = orjson.loads(resources.files(__package__).joinpath("schema.json").read_bytes())
    if message is None:
        return schema
    if message not in schema["$defs"]:
        raise KeyError(message)
    return {"$schema": schema["$schema"], "$ref": f"#/$defs/{message}", "$defs": schema["$defs"]}


__all__ = ["load_schema"]
