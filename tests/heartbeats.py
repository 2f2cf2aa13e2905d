"""What aiohttp forgets when a WebSocket ends."""

import asyncio

from aiohttp import ClientWebSocketResponse, web
from homeassistant.util.async_ import get_scheduled_timer_handles

_HEARTBEATS = (ClientWebSocketResponse._send_heartbeat, web.WebSocketResponse._send_heartbeat)


def cancel_heartbeats() -> None:
    """Cancel the heartbeat that aiohttp arms once more for what arrives while a WebSocket closes."""
    for handle in get_scheduled_timer_handles(asyncio.get_running_loop()):
        if getattr(getattr(handle, "_callback", None), "__func__", None) in _HEARTBEATS:
            handle.cancel()
