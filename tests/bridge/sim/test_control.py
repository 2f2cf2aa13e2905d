"""The control over real HTTP: what it shows, what it changes, and how it refuses."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import ClientSession
import pytest

from ridethrough.sim import Scenario, Simulation
from ridethrough.sim.control import serve_control

from .conftest import Bench

type Answer = tuple[int, dict[str, object]]


class Remote:
    def __init__(self, session: ClientSession, simulation: Simulation) -> None:
        self.session = session
        self.simulation = simulation

    async def get(self, path: str) -> Answer:
        async with self.session.get(path) as response:
            return response.status, await response.json()

    async def post(self, path: str, data: object) -> Answer:
        async with self.session.post(path, json=data) as response:
            return response.status, await response.json()


@asynccontextmanager
async def remote(bench: Bench, **options: object) -> AsyncIterator[Remote]:
    async with (
        bench.simulation(**options) as simulation,  # type: ignore[arg-type]
        serve_control(simulation, "127.0.0.1", 0) as address,
        ClientSession(address) as session,
    ):
        yield Remote(session, simulation)


async def test_state_tells_the_truth(bench: Bench) -> None:
    async with remote(bench) as control:
        status, state = await control.get("/state")
        assert status == 200
        assert state["mains"] == {"voltage": 230.0, "frequency": 50.0, "good": True}
        assert (state["charge"], state["on_battery"], state["supply"]) == (1.0, False, "mains")
        assert 600.0 < state["runtime_left"] < 3600.0  # type: ignore[operator]
        assert state["path"] == str(bench.link)
        assert state["line"]["plugged"] is True  # type: ignore[index]


async def test_set_changes_many_things_at_once_and_answers_with_the_state_after_it(bench: Bench) -> None:
    async with remote(bench) as control:
        status, state = await control.post(
            "/set",
            {
                "mains": False,
                "frequency": 49.5,
                "load": 0.8,
                "ambient": 30,
                "temperature": 33.0,
                "charge": 0.7,
                "beeper": False,
                "fault": {
                    "charger": True,
                    "fan": True,
                    "capacity": 0.8,
                    "resistance": 1.5,
                    "stuck": {"temperature": 21.0},
                },
                "line": {"garble": 0.1, "silent": True, "delay": 0.5},
            },
        )
        assert status == 200
        assert state["on_battery"] is True
        assert state["load"] == 0.8 and state["charge"] == 0.7 and state["beeper"] is False
        assert state["temperature"] == 33.0 and state["ambient"] == 30.0
        assert state["gauges"]["temperature"] == 21.0  # type: ignore[index]
        assert state["faults"] == {
            "charger": True,
            "fan": True,
            "capacity": 0.8,
            "resistance": 1.5,
            "stuck": {"temperature": 21.0},
        }
        assert state["line"] == {
            "garble": 0.1,
            "truncate": 0.0,
            "silent": True,
            "delay": 0.5,
            "echo": False,
            "flood": False,
            "plugged": True,
        }
        _, state = await control.post("/set", {"mains": 228, "fault": {"fan": False, "stuck": {"temperature": None}}})
        assert state["mains"]["voltage"] == 228.0  # type: ignore[index]
        assert state["faults"]["stuck"] == {} and state["faults"]["charger"] is True  # type: ignore[index]


async def test_the_power_button_and_the_cable(bench: Bench) -> None:
    async with remote(bench) as control:
        _, state = await control.post("/set", {"power": False, "line": {"plugged": False}})
        assert (state["supply"], state["off_reason"], state["path"]) == ("off", "switch", None)
        _, state = await control.post("/set", {"power": True, "line": {"plugged": True}})
        assert (state["supply"], state["path"]) == ("mains", str(bench.link))


@pytest.mark.parametrize(
    ("path", "data", "complaint"),
    [
        ("/set", {"load": 2.1}, "load: 2.1 must be a number from 0 to 2"),
        ("/set", {"load": True}, "load: True must be a number"),
        ("/set", {"load": "1"}, "load: '1' must be a number"),
        ("/set", {"mains": "off"}, "mains: 'off' must be a number from 0 to 500 (volts), or true or false"),
        ("/set", {"mains": 501}, "mains: 501 must be"),
        ("/set", {"beeper": 1}, "beeper: 1 must be true or false"),
        ("/set", {"line": {"garble": 1.5}}, "line.garble: 1.5 must be a number from 0 to 1"),
        ("/set", {"line": 3}, "line: 3 must be a section with keys of its own; permitted: garble, truncate"),
        ("/set", {"lien": {}}, "lien: there is no such key; permitted: mains, frequency, load"),
        ("/set", {"fault": {"stuck": {"x": 1}}}, "fault.stuck.x: there is no such key; permitted: input_v"),
        ("/set", {"load": 3, "charge": 3}, "; "),
        ("/set", [], "[] must be a section"),
        ("/scenario", {"name": "outrage"}, "there is no scenario 'outrage'; there are flapping"),
        ("/scenario", {"name": "/etc/passwd"}, "there is no scenario"),
        ("/scenario", {}, "name: is required"),
        ("/speed", {"factor": 0}, "factor: 0 must be a number from 0.01 to 3600"),
        ("/pause", {"paused": "yes"}, "paused: 'yes' must be true or false"),
    ],
)
async def test_wrong_requests_are_told_what_is_wrong_and_change_nothing(
    bench: Bench, path: str, data: object, complaint: str
) -> None:
    async with remote(bench) as control:
        _, before = await control.get("/state")
        status, answer = await control.post(path, data)
        assert status == 400
        assert complaint in str(answer["error"])
        assert (await control.get("/state"))[1] == before


@pytest.mark.parametrize("body", [b"{", b"null", b"[" * 60_000, b"\xff\xfe", b'{"load": NaN}', b'{"load": Infinity}'])
async def test_what_is_not_json_or_no_number_is_refused(bench: Bench, body: bytes) -> None:
    async with remote(bench) as control, control.session.post("/set", data=body) as response:
        assert response.status == 400
        assert "error" in await response.json()


async def test_a_body_beyond_reason_is_refused(bench: Bench) -> None:
    async with remote(bench) as control:
        async with control.session.post("/set", data=b" " * 100_000) as response:
            assert response.status == 413
        assert (await control.get("/state"))[0] == 200


async def test_exchanges_come_after_a_number(bench: Bench) -> None:
    async with remote(bench) as control:
        for request in (b"Q1", b"F", b"I"):
            await bench.ask(request)
        status, answer = await control.get("/exchanges?after=1")
        assert status == 200 and answer["last"] == 3
        exchanges = answer["exchanges"]
        assert isinstance(exchanges, list)
        first, second = exchanges
        assert (first["number"], first["request"], first["answer"]) == (2, "F", "#230.0 004 24.00 50.0\r")
        assert first["received_at"] <= first["t_last_byte"] <= second["t_last_byte"]
        assert len((await control.get("/exchanges"))[1]["exchanges"]) == 3  # type: ignore[arg-type]
        assert (await control.get("/exchanges?after=-1"))[0] == 400
        assert (await control.get("/exchanges?after=²"))[0] == 400


async def test_a_scenario_begins_afresh_and_takes_its_course(bench: Bench) -> None:
    async with remote(bench) as control:
        await control.post("/set", {"charge": 0.1, "line": {"silent": True}, "fault": {"fan": True}})
        _, state = await control.post("/scenario", {"name": "outage"})
        assert (state["scenario"], state["charge"], state["fault"]) == ("outage", 1.0, False)
        assert state["line"]["silent"] is False  # type: ignore[index]
        bench.clock.tick(30.0)
        assert (await control.get("/state"))[1]["on_battery"] is True


async def test_the_scenario_of_the_start_can_be_played_again(bench: Bench) -> None:
    async with remote(bench, scenario=Scenario("mine", "Mine")) as control:
        await control.post("/scenario", {"name": "steady"})
        assert (await control.post("/scenario", {"name": "mine"}))[1]["scenario"] == "mine"


async def test_speed_and_pause_govern_the_time_of_the_ups(bench: Bench) -> None:
    async with remote(bench) as control:
        bench.clock.tick(2.0)
        await control.post("/speed", {"factor": 60})
        bench.clock.tick(2.0)
        _, state = await control.post("/pause", {})
        assert state["time"] == pytest.approx(122.0) and state["paused"] is True
        bench.clock.tick(100.0)
        _, state = await control.post("/pause", {"paused": False})
        assert state["time"] == pytest.approx(122.0) and state["speed"] == 60.0
        bench.clock.tick(1.0)
        assert (await control.get("/state"))[1]["time"] == pytest.approx(182.0)
        with pytest.raises(ValueError, match="between"):
            control.simulation.speed = float("nan")
        assert control.simulation.speed == 60.0


async def test_a_name_that_was_taken_meanwhile_is_told_to_who_plugs(bench: Bench) -> None:
    async with remote(bench) as control:
        await control.post("/set", {"line": {"plugged": False}})
        bench.link.write_text("precious")
        status, answer = await control.post("/set", {"line": {"plugged": True}})
        assert status == 409 and str(bench.link) in str(answer["error"])
        bench.link.unlink()
        assert (await control.post("/set", {"line": {"plugged": True}}))[0] == 200


async def test_an_ipv6_address_is_written_as_one(bench: Bench) -> None:
    async with bench.simulation() as simulation, serve_control(simulation, "::1", 0) as address:
        assert address.startswith("http://[::1]:")
