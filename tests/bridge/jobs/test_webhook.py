"""Webhooks, tried against a real HTTP server: what it gets, and what is said when it does not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
import ssl
from typing import Any

from aiohttp import web
import orjson
import pytest

from ridethrough.catalogue import Severity
from ridethrough.config.actions import WebhookAction
from ridethrough.config.jobs import WebhookConfig
from ridethrough.events.steps import Occasion
from ridethrough.jobs import Jobs
from ridethrough.jobs.webhook import body_of
from ridethrough.site import Device
from tests.bridge.feeds.rig import free_port
from tests.bridge.feeds.syslog.certificates import Authority

from .rig import LIMITS, Shop, Talk, drop, hang, happened, refused, tcp_peer

PANEL = WebhookAction(webhook="panel")


class Panel:
    """An HTTP server that takes events."""

    def __init__(self) -> None:
        self.heard: list[tuple[dict[str, str], Any]] = []
        self.status = 204
        self.headers: dict[str, str] = {}
        self.body = ""

    async def take(self, request: web.Request) -> web.Response:
        """Take an event."""
        self.heard.append((dict(request.headers), orjson.loads(await request.read())))
        return web.Response(status=self.status, headers=self.headers, text=self.body or None)

    @asynccontextmanager
    async def open(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
        """Serve; gives the port."""
        app = web.Application()
        app.router.add_post("/{any:.*}", self.take)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        try:
            yield runner.addresses[0][1]
        finally:
            await runner.cleanup()


@pytest.fixture
def panel() -> Panel:
    return Panel()


def jobs_for(shop: Shop, url: str, **more: Any) -> Jobs:
    """Configure the webhook called panel."""
    return shop.configure(webhooks=(WebhookConfig("panel", url, **more),))


async def test_webhook_gets_the_event_with_the_values_of_its_device(shop: Shop, ups: Device, panel: Panel) -> None:
    shop.world.post(ups, {"battery.charge": 87.0, "output.voltage": None})
    async with panel.open() as port:
        jobs = jobs_for(shop, f"http://127.0.0.1:{port}/events?x=1", token="s3cret")
        said = await jobs.perform(replace(PANEL, text="Hello {event}"), happened(ups, retry=True))
    assert said == "The webhook panel has taken it (204)."
    ((headers, body),) = panel.heard
    assert headers["Authorization"] == "Bearer s3cret"
    assert headers["Content-Type"] == "application/json"
    assert headers["User-Agent"] == "Ridethrough/0.1.0"
    assert body["bridge"] == {"id": shop.context.bridge.id, "name": "Test bridge", "version": "0.1.0"}
    assert (body["origin"], body["text"]) == (
        "job:notify",
        "(repeated, it may have been sent before) Hello on_battery",
    )
    assert (body["test"], body["drill"], body["repeated"], body["late"]) == (False, False, True, 0)
    assert body["event"] == {
        "seq": 17,
        "at": "2026-01-02T03:04:05+00:00",
        "kind": "condition",
        "key": "on_battery",
        "edge": "raised",
        "severity": "alarm",
        "details": {},
    }
    assert body["device"] | {"key": "ups-1", "kind": "ups", "model": "UPS 3000", "serial": "A1"} == body["device"]
    assert (body["values"]["battery.charge"], body["values"]["output.voltage"]) == (87.0, None)


async def test_webhook_of_a_schedule_has_neither_event_nor_device(shop: Shop, panel: Panel) -> None:
    async with panel.open() as port:
        jobs = jobs_for(shop, f"http://127.0.0.1:{port}")
        await jobs.perform(PANEL, Occasion("schedule:weekly", actor="Anna", test=True))
    ((headers, body),) = panel.heard
    assert "Authorization" not in headers
    assert (body["event"], body["device"], body["values"], body["test"]) == (None, None, {}, True)
    assert body["text"] == "Test: Test bridge: schedule:weekly"


async def test_value_that_is_lost_is_null(shop: Shop, ups: Device) -> None:
    shop.world.lose(ups)
    body = body_of(PANEL, happened(ups), shop.context)
    values = body["values"]
    assert isinstance(values, dict)
    assert values["battery.charge"] is None


async def test_odd_things_that_devices_say_are_sent_all_the_same(shop: Shop, ups: Device, panel: Panel) -> None:
    shop.world.site.put(replace(ups, serial="\udcff"))
    occasion = happened(ups)
    assert occasion.event is not None
    odd = replace(occasion.event, details={"a": 10**30, "b": float("nan")}, severity=Severity.INFO)
    async with panel.open() as port:
        await jobs_for(shop, f"http://127.0.0.1:{port}").perform(PANEL, replace(occasion, event=odd))
    ((_, body),) = panel.heard
    assert body["device"]["serial"] == "?"
    assert body["event"]["details"] == {"a": str(10**30), "b": None}


@pytest.mark.parametrize(
    ("status", "again"),
    [(400, False), (401, False), (404, False), (408, True), (429, True), (500, True), (503, True)],
)
async def test_webhook_that_does_not_take_it(shop: Shop, panel: Panel, status: int, again: bool) -> None:
    panel.status, panel.body = status, "Not\r\nnow " + "x" * 1000
    async with panel.open() as port:
        error = await refused(jobs_for(shop, f"http://127.0.0.1:{port}").perform(PANEL, Occasion("job:x")))
    assert str(error).startswith(f"The webhook panel does not take it ({status} Not now xxx")
    assert len(str(error)) < 300
    assert error.again is again


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_token_does_not_follow_a_redirect(shop: Shop, panel: Panel, status: int) -> None:
    elsewhere = Panel()
    async with panel.open() as port, elsewhere.open() as other:
        panel.status, panel.headers = status, {"Location": f"http://127.0.0.1:{other}/"}
        jobs = jobs_for(shop, f"http://127.0.0.1:{port}", token="s3cret")
        error = await refused(jobs.perform(PANEL, Occasion("job:x")))
    assert f"sends us elsewhere ({status})" in str(error)
    assert not error.again
    assert elsewhere.heard == []


async def test_webhook_over_tls(shop: Shop, panel: Panel, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.certificate("panel", "127.0.0.1"))
    async with panel.open(context) as port:
        url = f"https://127.0.0.1:{port}/"
        await jobs_for(shop, url, ca=authority.ca).perform(PANEL, Occasion("job:x"))
        error = await refused(jobs_for(shop, url, token="s3cret").perform(PANEL, Occasion("job:x")))
        assert "The certificate of the webhook panel is not trusted" in str(error)
        assert not error.again
        missing = tmp_path / "missing.pem"
        assert "cannot be read" in str(await refused(jobs_for(shop, url, ca=missing).perform(PANEL, Occasion("job:x"))))
        error = await refused(jobs_for(shop, f"http://127.0.0.1:{port}").perform(PANEL, Occasion("job:x")))
        assert "has ended the connection" in str(error)
    assert len(panel.heard) == 1


async def huge_headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with headers without end."""
    await reader.read(1000)
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-More: " + b"x" * 4000 + b"\r\n")
        await writer.drain()


async def huge_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with a body without end."""
    await reader.read(1000)
    writer.write(b"HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
        await writer.drain()


async def dribble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer so slowly that each byte is a sign of life."""
    for byte in b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 10_000:
        writer.write(bytes((byte,)))
        await writer.drain()
        await asyncio.sleep(0.05)


async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer something else."""
    await reader.read(1000)
    writer.write(b"220 mail.example ESMTP\r\n")
    await writer.drain()


@pytest.mark.parametrize(
    ("talk", "said", "again"),
    [
        pytest.param(hang, "did not answer in time", True, id="hangs"),
        pytest.param(drop, "has ended the connection", True, id="drops"),
        pytest.param(dribble, "did not answer in time", True, id="dribbles"),
        pytest.param(huge_headers, "could not be reached", True, id="huge-headers"),
        pytest.param(huge_body, "does not take it (500 xxx", True, id="huge-body"),
        pytest.param(garbage, "could not be reached", True, id="garbage"),
    ],
)
async def test_servers_that_misbehave(shop: Shop, talk: Talk, said: str, again: bool) -> None:
    shop.context = replace(shop.context, limits=replace(LIMITS, webhook=0.5))
    async with tcp_peer(talk) as port, asyncio.timeout(3):
        error = await refused(jobs_for(shop, f"http://127.0.0.1:{port}").perform(PANEL, Occasion("job:x")))
    assert said in str(error)
    assert len(str(error)) < 400
    assert error.again is again


@pytest.mark.parametrize(
    ("url", "said"),
    [
        pytest.param("http://127.0.0.1:{free}", "refuses the connection", id="nobody"),
        pytest.param("http://no-such-host.invalid/", "is not known", id="name"),
        pytest.param("nonsense", "has no address that could be called", id="no-url"),
        pytest.param("http://127.0.0.1:99999/", "has no address that could be called", id="no-port"),
        pytest.param("ftp://127.0.0.1/", "has no address that could be called", id="other-scheme"),
    ],
)
async def test_webhook_that_is_not_there(shop: Shop, url: str, said: str) -> None:
    jobs = jobs_for(shop, url.replace("{free}", str(free_port())))
    assert said in str(await refused(jobs.perform(PANEL, Occasion("job:x"))))


async def test_only_webhooks_of_the_configuration_are_called(shop: Shop) -> None:
    error = await refused(jobs_for(shop, "http://127.0.0.1/").perform(WebhookAction(webhook="x"), Occasion("job:x")))
    assert str(error) == "There is no webhook x in the section webhooks; there is panel."
