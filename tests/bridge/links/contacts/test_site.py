"""Contacts in a site: from inputs of other devices, and what is worked out from them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from ridethrough.assembly.derivations import derivations
from ridethrough.catalogue import load_catalogue
from ridethrough.clock import Clock, ManualClock, SystemClock
from ridethrough.config import UpsConfig
from ridethrough.links.base import Credentials, LinkError, LinkUrl
from ridethrough.links.contacts import ContactsLink, link as link_module
from ridethrough.links.context import LinkContext
from ridethrough.links.ports import SerialPorts
from ridethrough.links.runner import LinkRunner, LinkState
from ridethrough.site import CommandError, Commands, Device, DeviceId, Quality, Site, Source, keep_expiring
from ridethrough.tasks import Backoff
from tests.bridge.links.conftest import Notebook

from .server import DeviceServer

UPS = DeviceId("ups-a")
OTHER = DeviceId("ups-b")
OUTLET = DeviceId("outlet-c")


class Whole:
    """A site with a contact UPS, and another device with inputs."""

    def __init__(self, url: str, granted: frozenset[str] = frozenset(), clock: Clock | None = None) -> None:
        self.clock = clock = clock or SystemClock()
        self.site = Site(load_catalogue(), clock)
        self.commands = Commands(self.site)
        context = LinkContext(clock, SerialPorts(clock), site=self.site)
        self.link = ContactsLink(LinkUrl.parse(url), Credentials(), context)
        self.site.put(Device(OTHER, "ups-2", "ups", "Other UPS"))
        self.site.put(Device(OUTLET, "ups-2/outlet-1", "outlet", "Outlet", parent=OTHER))
        self.inputs = self.site.lane(OTHER, None)
        self.outlet = self.site.lane(OUTLET, None)
        self.runner = LinkRunner(
            self.link,
            Device(UPS, "ups-1", "ups", "Contact UPS"),
            self.site,
            self.commands,
            clock,
            granted=granted,
            mint=DeviceId,
            backoff=Backoff(0.02, 0.05, 0.0),
        )
        self._changed = asyncio.Event()
        self.site.observe(lambda _change: self._changed.set())

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    def active(self, condition: str) -> bool | None:
        """Whether a condition holds, None unless that is well known."""
        state = self.site.conditions(UPS).get(condition)
        return None if state is None or state.quality is not Quality.GOOD else state.active

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = {
            asyncio.create_task(self.runner.run()),
            asyncio.create_task(keep_expiring(self.site, self.clock)),
        }
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


async def test_another_devices_conditions_and_points_are_contacts() -> None:
    whole = Whole("contacts:?power_fail=ups-2/on_battery&battery_low=!ups-2/outlet-1/outlet.switchable")
    whole.inputs.post({}, {"on_battery": False})
    whole.outlet.post({"outlet.switchable": True})
    async with whole.running():
        await whole.until(lambda: whole.active("on_battery") is False and whole.active("battery_low") is False)
        whole.inputs.post({}, {"on_battery": True})
        await whole.until(lambda: whole.active("on_battery") is True)
        whole.outlet.post({"outlet.switchable": False})
        await whole.until(lambda: whole.active("battery_low") is True)


async def test_what_the_other_device_no_longer_tells_is_lost_here_too() -> None:
    whole = Whole("contacts:?power_fail=ups-2/on_battery")
    whole.inputs.post({}, {"on_battery": True})
    async with whole.running():
        await whole.until(lambda: whole.active("on_battery") is True)
        whole.inputs.lost()
        await whole.until(lambda: whole.active("on_battery") is None)
        assert whole.runner.state is LinkState.LOST
        assert whole.site.conditions(UPS)["communications_lost"].active
        whole.inputs.post({}, {"on_battery": False})
        await whole.until(lambda: whole.active("on_battery") is False)
        assert not whole.site.conditions(UPS)["communications_lost"].active


@pytest.mark.parametrize(
    ("contact", "sentence"),
    [
        ("io-1/input.3", "There is no device io-1, which io-1/input.3 is to be read from"),
        ("ups-2/input.3", r"Other UPS \(ups-2\) tells neither a point nor a condition input\.3"),
        ("ups-2/input.voltage", r"ups-2/input\.voltage is no contact: it is 230\.0, neither yes nor no"),
        ("ups-2/test_in_progress", r"ups-2/test_in_progress is not known at the moment \(lost\)"),
    ],
)
async def test_a_contact_that_is_not_there_is_one_sentence(
    contact: str, sentence: str, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "PATIENCE", 0.1)
    whole = Whole(f"contacts:?power_fail={contact}")
    whole.inputs.post({"input.voltage": 230.0}, {"test_in_progress": False})
    lost = whole.site.lane(OTHER, None)
    lost.post({}, {"test_in_progress": False})
    lost.lost()
    with pytest.raises(LinkError, match=sentence):
        await whole.link.run(notebook)


async def test_a_device_that_appears_later_is_found() -> None:
    whole = Whole("contacts:?power_fail=late-1/on_battery")
    async with whole.running():
        await asyncio.sleep(0.1)
        late = DeviceId("late")
        whole.site.put(Device(late, "late-1", "ups", "Late"))
        whole.site.lane(late, None).post({}, {"on_battery": True})
        await whole.until(lambda: whole.active("on_battery") is True)


async def test_without_a_site_another_devices_contacts_are_unknown(notebook: Notebook) -> None:
    url = LinkUrl.parse("contacts:?power_fail=ups-2/on_battery")
    link = ContactsLink(url, Credentials(), LinkContext.alone(SystemClock()))
    with pytest.raises(LinkError, match="which only the running bridge knows"):
        await link.run(notebook)


async def test_charge_and_runtime_are_worked_out_from_rating_and_hold_time() -> None:
    clock = ManualClock()
    url = "contacts:?power_fail=ups-2/on_battery"
    whole = Whole(url, clock=clock)
    config = UpsConfig("ups-1", "Contact UPS", url, power=1000, load=500, hold_time=10, recharge_time=0.1)
    for derivation in derivations(config):
        whole.site.derive(UPS, derivation)
    whole.inputs.post({}, {"on_battery": False})
    async with whole.running():
        await clock.advance(1)
        assert whole.active("on_battery") is False
        # Nobody knows how full the battery is until it has had the time to charge.
        assert whole.site.reading(UPS, "battery.charge") is None
        await clock.advance(370)
        charge, runtime = whole.site.reading(UPS, "battery.charge"), whole.site.reading(UPS, "battery.runtime")
        assert charge is not None
        assert (charge.value, charge.source, charge.quality) == (100.0, Source.COMPUTED, Quality.GOOD)
        assert runtime is not None
        # At half load a battery lasts 1.875 times its ten minutes at full load.
        assert (runtime.value, runtime.source) == (1125.0, Source.COMPUTED)
        whole.inputs.post({}, {"on_battery": True})
        await clock.advance(225)
        assert whole.active("on_battery") is True
        charge, runtime = whole.site.reading(UPS, "battery.charge"), whole.site.reading(UPS, "battery.runtime")
        assert charge is not None
        assert runtime is not None
        assert charge.value == pytest.approx(80, abs=0.2)
        assert runtime.value == pytest.approx(900, abs=2)


async def test_the_shutdown_line_needs_a_grant(server: DeviceServer) -> None:
    server.set(cts=True, dcd=True)
    url = f"contacts://127.0.0.1:{server.port}?cable=cyberpower-power99&debounce=0&pulse=0.1"
    refused, allowed = Whole(url), Whole(url, frozenset({"shutdown"}))
    async with refused.running():
        await refused.until(lambda: refused.active("on_battery") is False)
        with pytest.raises(CommandError) as caught:
            await refused.commands.perform(UPS, "shutdown.return", {"delay": 12})
        assert caught.value.code == "not_granted"
    async with allowed.running():
        await allowed.until(lambda: allowed.active("on_battery") is False)
        result = await allowed.commands.perform(UPS, "shutdown.return", {"delay": 12})
        assert "in 12 s" in result.message
        await allowed.until(lambda: allowed.active("shutdown_pending") is True)
        assert server.lines.outputs == {"rts"}
