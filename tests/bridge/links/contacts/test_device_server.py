"""Contacts on the modem lines of a serial device server: pyserial's own, over a real connection."""

import asyncio

import pytest

from ridethrough.clock import SystemClock
from ridethrough.links.base import CommandError, Credentials, LinkError
from ridethrough.links.contacts import link as link_module, rfc2217 as rfc2217_module
from ridethrough.links.context import LinkContext
from ridethrough.links.probe import probe
from tests.bridge.links.conftest import Notebook

from .conftest import link_to, running
from .server import DeviceServer


async def test_lines_become_conditions(server: DeviceServer, notebook: Notebook) -> None:
    server.set(cts=True, dcd=True)
    async with running(link_to(server, "cable=rups"), notebook), asyncio.timeout(10):
        assert notebook.conditions["on_battery"] is False
        assert notebook.conditions["battery_low"] is False
        assert server.lines.outputs == {"rts"}
        server.set(cts=False)
        await notebook.until_condition("on_battery")
        server.set(dcd=False)
        await notebook.until_condition("battery_low")
        server.set(cts=True, dcd=True)
        await notebook.until_condition("on_battery", False)
        await notebook.until_condition("battery_low", False)


async def test_lines_mean_what_the_url_says(server: DeviceServer, notebook: Notebook) -> None:
    options = "power_fail=ri&battery_low=!dsr&bypass=cts&replace=!dcd&fault=!cts&supply=dtr%2Brts"
    async with running(link_to(server, options), notebook), asyncio.timeout(10):
        assert server.lines.outputs == {"dtr", "rts"}
        assert notebook.conditions == {
            "on_battery": False,
            "battery_low": True,
            "on_bypass": False,
            "battery_bad": True,
            "general_fault": True,
        }
        assert notebook.identity is not None
        assert notebook.identity.commands == frozenset()
        server.set(ri=True, dsr=True, cts=True, dcd=True)
        await notebook.until(lambda: notebook.conditions["on_bypass"])
    assert notebook.conditions == {
        "on_battery": True,
        "battery_low": False,
        "on_bypass": True,
        "battery_bad": False,
        "general_fault": False,
    }


async def test_a_relay_that_bounces_is_no_power_failure(server: DeviceServer, notebook: Notebook) -> None:
    server.set(cts=True)
    async with running(link_to(server, "power_fail=!cts&debounce=0.3"), notebook), asyncio.timeout(10):
        for _ in range(6):
            server.set(cts=False)
            await asyncio.sleep(0.06)
            server.set(cts=True)
            await asyncio.sleep(0.06)
        await notebook.until_poll()
        assert notebook.conditions["on_battery"] is False
        server.set(cts=False)
        await notebook.until_condition("on_battery")


async def test_a_cable_that_is_pulled_out_is_no_power_failure(server: DeviceServer, notebook: Notebook) -> None:
    server.set(dsr=True, ri=False, dcd=False)
    link = link_to(server, "cable=apc-940-0095a")
    async with running(link, notebook) as task:
        server.set(dsr=False, ri=True)
        with pytest.raises(LinkError, match="seems to be unplugged, or the UPS off: dsr is low"):
            await asyncio.wait_for(task, 10)
    assert notebook.conditions["on_battery"] is False
    server.set(dsr=True, ri=False)
    async with running(link, notebook):
        assert {value.name: value.text for value in link.raw()} == {"ri": "low", "dcd": "low", "dsr": "high"}


async def test_the_probe_says_what_each_line_means(server: DeviceServer) -> None:
    server.set(dsr=True, ri=False, dcd=False)
    url = f"contacts://127.0.0.1:{server.port}?cable=apc-940-0095a"
    result = await probe(url, Credentials(), LinkContext.alone(SystemClock()))
    assert [(row.key, row.text, row.quality, row.name) for row in result.rows] == [
        ("dcd", "low", "good", "Battery low when high"),
        ("dsr", "high", "good", "the cable is there when high"),
        ("ri", "low", "good", "On battery when high"),
    ]


async def test_a_server_that_closes_is_lost_at_once(server: DeviceServer, notebook: Notebook) -> None:
    async with running(link_to(server, "cable=rups"), notebook) as task:
        server.hang_up()
        with pytest.raises(LinkError, match="has closed the connection"):
            await asyncio.wait_for(task, 10)


async def test_a_server_that_falls_silent_is_lost(
    server: DeviceServer, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rfc2217_module, "SILENCE", 0.6)
    monkeypatch.setattr(rfc2217_module, "ASKED", 0.1)
    async with running(link_to(server, "cable=rups"), notebook) as task:
        await asyncio.sleep(1.0)
        assert not task.done()
        server.mute = True
        with pytest.raises(LinkError, match=r"has not answered for 0\.6 s"):
            await asyncio.wait_for(task, 10)


async def test_garbage_from_the_server_changes_nothing(server: DeviceServer, notebook: Notebook) -> None:
    server.set(cts=True)
    async with running(link_to(server, "power_fail=!cts"), notebook), asyncio.timeout(10):
        server.say(b"\xff\xfa\x2c\x07\xff\xf0\xff\xfb\x63\xff\xfd\x63ABC\xff\xf1\x00" * 50)
        await notebook.until_poll()
        assert notebook.conditions["on_battery"] is False
        server.set(cts=False)
        await notebook.until_condition("on_battery")


async def test_who_does_not_speak_rfc_2217_is_told_apart(
    server: DeviceServer, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rfc2217_module, "CONNECTING", 0.3)
    server.mute = True
    with pytest.raises(LinkError, match="tells no modem lines; is it a serial device server that speaks RFC 2217"):
        await link_to(server, "cable=rups").run(notebook)


async def test_nobody_there_is_one_sentence(server: DeviceServer, notebook: Notebook) -> None:
    link = link_to(server, "cable=rups")
    await server.stop()
    with pytest.raises(LinkError, match=r"127.0.0.1:\d+ cannot be reached: .*refused"):
        await link.run(notebook)


async def test_a_shutdown_is_ordered_by_the_outputs_and_ends(server: DeviceServer, notebook: Notebook) -> None:
    server.set(cts=True, dcd=True)
    link = link_to(server, "cable=megatec-m2501&pulse=0.3")
    async with running(link, notebook), asyncio.timeout(10):
        assert notebook.identity is not None
        assert notebook.identity.commands == {"shutdown.return", "shutdown.stop"}
        result = await link.perform("shutdown.return", {"delay": 0.2})
        assert not result.confirmed
        assert "Whether it obeys, the cable does not tell" in result.message
        await notebook.until_condition("shutdown_pending")
        assert server.lines.outputs == {"rts"}
        while server.lines.outputs != {"rts", "dtr"}:
            await asyncio.sleep(0.01)
        while server.lines.outputs != {"rts"}:
            await asyncio.sleep(0.01)
        await notebook.until_condition("shutdown_pending", False)


async def test_contacts_mean_nothing_while_the_cable_has_no_supply(server: DeviceServer, notebook: Notebook) -> None:
    server.set(cts=True, dcd=True)
    link = link_to(server, "cable=rups&pulse=0.4")
    async with running(link, notebook), asyncio.timeout(10):
        await link.perform("shutdown.return", {"delay": 0})
        while server.lines.outputs:
            await asyncio.sleep(0.01)
        server.set(cts=False, dcd=False)
        while not server.lines.outputs:
            await asyncio.sleep(0.01)
        assert notebook.conditions["on_battery"] is False
        server.set(cts=True, dcd=True)
        await notebook.until_condition("shutdown_pending", False)
    assert notebook.conditions["on_battery"] is False


async def test_a_shutdown_is_taken_back(server: DeviceServer, notebook: Notebook) -> None:
    link = link_to(server, "power_fail=cts&supply=dtr&shutdown=break&restart=no&pulse=60")
    async with running(link, notebook), asyncio.timeout(10):
        assert (await link.perform("shutdown.stop", {})).message == "No shutdown was ordered."
        await link.perform("shutdown.stayoff", {})
        await notebook.until_condition("shutdown_pending")
        assert "has not been told" in (await link.perform("shutdown.stop", {})).message
        await notebook.until_condition("shutdown_pending", False)
        await link.perform("shutdown.stayoff", {"delay": 0})
        while server.lines.outputs != {"break"}:
            await asyncio.sleep(0.01)
        assert not (await link.perform("shutdown.stop", {})).confirmed
        while server.lines.outputs != {"dtr"}:
            await asyncio.sleep(0.01)


async def test_a_shutdown_that_could_not_be_ordered_in_time_is_forgotten(
    server: DeviceServer, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "LATE", 0.2)
    link = link_to(server, "cable=cyberpower-power99")
    async with running(link, notebook) as task:
        await link.perform("shutdown.return", {"delay": 0.1})
        await server.stop()
        with pytest.raises(LinkError):
            await asyncio.wait_for(task, 10)
    await asyncio.sleep(0.5)
    await server.start()
    server.lines.dtr = False
    async with running(link, notebook), asyncio.timeout(10):
        await notebook.until_condition("shutdown_pending", False)
        assert server.lines.outputs == {"rts"}


@pytest.mark.parametrize(
    ("command", "arguments", "child", "code"),
    [
        ("load.off", {}, None, "unknown_command"),
        ("shutdown.return", {}, "1", "unknown_command"),
        ("shutdown.return", {"delay": "soon"}, None, "bad_argument"),
    ],
)
async def test_what_cannot_be_ordered_is_refused(
    server: DeviceServer, notebook: Notebook, command: str, arguments: dict[str, str], child: str | None, code: str
) -> None:
    link = link_to(server, "cable=cyberpower-power99")
    with pytest.raises(CommandError) as caught:
        await link.perform("shutdown.return", {})
    assert caught.value.code == "offline"
    async with running(link, notebook):
        with pytest.raises(CommandError) as caught:
            await link.perform(command, arguments, child)
    assert caught.value.code == code


async def test_a_probe_shows_the_contacts(server: DeviceServer) -> None:
    server.set(cts=True)
    url = f"contacts://127.0.0.1:{server.port}?power_fail=cts&battery_low=dcd"
    result = await probe(url, Credentials(), LinkContext.alone(SystemClock()), timeout=10)
    assert {row.key: row.active for row in result.conditions} == {"on_battery": True, "battery_low": False}
    assert {row.key: row.text for row in result.rows} == {"cts": "high", "dcd": "low"}
