"""Events as JSON to an address that somebody has named in the configuration."""

from collections.abc import Mapping

import aiohttp
import orjson

from ridethrough.config.actions import WebhookAction
from ridethrough.config.jobs import WebhookConfig
from ridethrough.events.steps import ActionError, Occasion
from ridethrough.site import Value

from .complaint import complaint, passing
from .context import JobContext
from .trust import Trust
from .wording import one_line, told

MOST_VALUES = 500
"""Values of the device that are sent: more than any kind of device has."""
_HEARD = 200
"""Octets of an answer that are looked at."""
_AGAIN = frozenset({408, 425, 429})
"""Answers of RFC 9110, 8470 and 6585 by which the fault may be over in a while, beside those from 500 on."""

type Json = dict[str, object]


class Webhook:
    """Posts events. Redirects are not followed: the token is for the address that the configuration names."""

    def __init__(self, context: JobContext) -> None:
        """Nothing is opened yet."""
        self._context = context
        self._addresses = {one.key: one for one in context.config.webhooks}
        self._trust = {one.key: Trust(one.ca) for one in context.config.webhooks}

    async def perform(self, action: WebhookAction, occasion: Occasion) -> str:
        """See `Performer`."""
        config = self._addresses.get(action.webhook)
        if config is None:
            known = ", ".join(self._addresses) or "none"
            raise ActionError(f"There is no webhook {action.webhook} in the section webhooks; there is {known}.")
        body = encode(body_of(action, occasion, self._context))
        try:
            status, said = await self._post(config, body)
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            raise ActionError(
                f"The webhook {config.key} has no address that could be called: {error!s:.200}"
            ) from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            self._trust[config.key].doubt()
            raise ActionError(complaint(error, f"the webhook {config.key}"), again=passing(error)) from error
        if 200 <= status < 300:
            return f"The webhook {config.key} has taken it ({status})."
        if 300 <= status < 400:
            raise ActionError(
                f"The webhook {config.key} sends us elsewhere ({status}), where its token must not go: "
                "give its final address."
            )
        raise ActionError(
            f"The webhook {config.key} does not take it ({status} {said}).".replace(" )", ")"),
            again=status >= 500 or status in _AGAIN,
        )

    async def _post(self, config: WebhookConfig, body: bytes) -> tuple[int, str]:
        headers = {"Content-Type": "application/json", "User-Agent": f"Ridethrough/{self._context.version}"}
        if config.token is not None:
            headers["Authorization"] = f"Bearer {config.token}"
        tls = await self._trust[config.key].context() if config.url.lower().startswith("https:") else False
        timeout = aiohttp.ClientTimeout(total=self._context.limits.webhook)
        async with (
            aiohttp.ClientSession(
                timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, raise_for_status=False
            ) as session,
            session.post(config.url, data=body, headers=headers, ssl=tls, allow_redirects=False) as answer,
        ):
            # Only a little of it: whoever answers at length does not get our memory.
            said = b"" if answer.status < 400 else await answer.content.read(_HEARD)
            answer.close()
            return answer.status, one_line(said.decode("utf-8", "replace"))


def body_of(action: WebhookAction, occasion: Occasion, context: JobContext) -> Json:
    """Put together what is sent; a value that nobody knows, or not any longer, is null."""
    event, device = occasion.event, context.device_of(occasion)
    values: Mapping[str, Value | None] = {}
    if device is not None:
        readings = list(context.site.readings(device.id).items())[:MOST_VALUES]
        values = {key: reading.value if reading.good else None for key, reading in readings}
    return {
        "bridge": {"id": context.bridge.id, "name": context.bridge.name, "version": context.version},
        "at": context.clock.utc().isoformat(),
        "origin": occasion.origin,
        "text": told(action.text, occasion, context),
        "test": occasion.test,
        "drill": occasion.drill,
        "repeated": occasion.retry,
        "late": round(occasion.late),
        "event": None
        if event is None
        else {
            "seq": event.seq,
            "at": event.at.isoformat(),
            "kind": event.kind.value,
            "key": event.key,
            "edge": event.edge.value,
            "severity": event.severity.value,
            "details": dict(event.details),
        },
        "device": None
        if device is None
        else {
            "id": device.id,
            "key": device.key,
            "kind": device.kind,
            "name": device.name,
            "manufacturer": device.manufacturer,
            "model": device.model,
            "serial": device.serial,
        },
        "values": values,
    }


def encode(body: Json) -> bytes:
    """Write it as UTF-8; text that is not Unicode is mended, not refused."""
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError:
        return orjson.dumps(_mended(body))


def _mended(item: object) -> object:
    match item:
        case dict():
            return {_mended(key): _mended(one) for key, one in item.items()}
        case str():
            return item.encode("utf-8", "replace").decode()
        case int() if abs(item) > 2**53:
            return str(item)
    return item


__all__ = ["Webhook", "body_of"]
