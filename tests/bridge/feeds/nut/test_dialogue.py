"""The dialogue line by line: each request, and each way of refusing it."""

import asyncio

import pytest

from ridethrough.config.feeds import NutConfig
from ridethrough.feeds.nut.wire import NEVER_SAID, Error
from ridethrough.site import Arguments, CommandError, CommandResult
from tests.bridge.feeds.rig import World

from .rig import ALL, USERS, Served, a_server, until

NOBODY: tuple[tuple[str, str], ...] = (
    # What anybody may say, and the answer.
    ("VER", "Network UPS Tools upsd 2.8.0 compatible - Ridethrough 0.1.0"),
    ("ver", "Network UPS Tools upsd 2.8.0 compatible - Ridethrough 0.1.0"),
    ("NETVER", "1.3"),
    ("PROTVER", "1.3"),
    ("HELP", "Commands: HELP VER GET LIST SET INSTCMD LOGIN LOGOUT USERNAME PASSWORD STARTTLS"),
    ("GET VAR ups-1 ups.status", 'VAR ups-1 ups.status "OL"'),
    ("get var UPS-1 Ups.Status", 'VAR UPS-1 Ups.Status "OL"'),
    ("GET VAR ups-1 Battery.Charge", 'VAR ups-1 Battery.Charge "100"'),
    ('GET "VAR" "ups-1" "ups.status"', 'VAR ups-1 ups.status "OL"'),
    (r"GET VAR ups\-1 ups.status", 'VAR ups-1 ups.status "OL"'),
    ("GET VAR ups-1 server.version", 'VAR ups-1 server.version "2.8.0"'),
    (
        "GET VAR none server.info",
        'VAR none server.info "Network UPS Tools upsd 2.8.0 compatible - Ridethrough 0.1.0"',
    ),
    ("GET TYPE ups-1 battery.charge", "TYPE ups-1 battery.charge NUMBER"),
    ("GET TYPE ups-1 ups.mfr", "TYPE ups-1 ups.mfr STRING:300"),
    ("GET DESC ups-1 battery.charge", 'DESC ups-1 battery.charge "Battery charge"'),
    ("GET DESC ups-1 ups.power", 'DESC ups-1 ups.power "Apparent power"'),
    ("GET DESC ups-1 no.such", 'DESC ups-1 no.such "Description unavailable"'),
    ("GET CMDDESC ups-1 beeper.mute", 'CMDDESC ups-1 beeper.mute "Mute beeper"'),
    ("GET CMDDESC ups-1 no.such", 'CMDDESC ups-1 no.such "Description unavailable"'),
    ("GET UPSDESC ups-1", 'UPSDESC ups-1 "ups-1"'),
    ("GET NUMLOGINS ups-1", "NUMLOGINS ups-1 0"),
    ("GET TRACKING", "OFF"),
    # Refusals.
    ("", "ERR UNKNOWN-COMMAND"),
    ("   ", "ERR UNKNOWN-COMMAND"),
    ("HELO", "ERR UNKNOWN-COMMAND"),
    ("GET", "ERR INVALID-ARGUMENT"),
    ("GET VAR", "ERR INVALID-ARGUMENT"),
    ("GET VAR ups-1", "ERR INVALID-ARGUMENT"),
    ("GET FOO ups-1 ups.status", "ERR INVALID-ARGUMENT"),
    ("LIST", "ERR INVALID-ARGUMENT"),
    ("LIST VAR", "ERR INVALID-ARGUMENT"),
    ("LIST ENUM ups-1", "ERR INVALID-ARGUMENT"),
    ("LIST FOO ups-1", "ERR INVALID-ARGUMENT"),
    ("VER 1", "ERR INVALID-ARGUMENT"),
    ("USERNAME", "ERR INVALID-ARGUMENT"),
    ('GET VAR ups-1 "ups.status', "ERR INVALID-ARGUMENT"),
    ("GET VAR ups-1 \\", "ERR INVALID-ARGUMENT"),
    ("GET VAR ups-2 ups.status", "ERR UNKNOWN-UPS"),
    ("GET VAR bridge ups.status", "ERR UNKNOWN-UPS"),
    ("GET NUMLOGINS ups-2", "ERR UNKNOWN-UPS"),
    ("GET UPSDESC ups-2", "ERR UNKNOWN-UPS"),
    ("LIST VAR ups-2", "ERR UNKNOWN-UPS"),
    ("LIST CLIENT ups-2", "ERR UNKNOWN-UPS"),
    ("GET VAR ups-1 no.such", "ERR VAR-NOT-SUPPORTED"),
    ("GET VAR ups-1 server.no", "ERR VAR-NOT-SUPPORTED"),
    ("GET TYPE ups-1 no.such", "ERR VAR-NOT-SUPPORTED"),
    ("LIST ENUM ups-1 no.such", "ERR VAR-NOT-SUPPORTED"),
    ("GET TRACKING 1", "ERR FEATURE-NOT-CONFIGURED"),
    ("STARTTLS", "ERR FEATURE-NOT-CONFIGURED"),
    ("LOGIN ups-1", "ERR USERNAME-REQUIRED"),
    ("PRIMARY ups-1", "ERR USERNAME-REQUIRED"),
    ("FSD ups-1", "ERR USERNAME-REQUIRED"),
    ("SET VAR ups-1 ups.id x", "ERR USERNAME-REQUIRED"),
    ("INSTCMD ups-1 beeper.mute", "ERR USERNAME-REQUIRED"),
)
ADMIN: tuple[tuple[str, str], ...] = (
    # What the user admin may say, a primary, and the answer.
    ("USERNAME x", "ERR ALREADY-SET-USERNAME"),
    ("PASSWORD x", "ERR ALREADY-SET-PASSWORD"),
    ("LOGIN ups-1", "OK"),
    ("LOGIN ups-2", "ERR UNKNOWN-UPS"),
    ("LOGIN", "ERR INVALID-ARGUMENT"),
    ("PRIMARY ups-1", "OK PRIMARY-GRANTED"),
    ("MASTER ups-1", "OK MASTER-GRANTED"),
    ("PRIMARY ups-2", "ERR UNKNOWN-UPS"),
    ("FSD ups-1", "OK FSD-SET"),
    ("FSD", "ERR INVALID-ARGUMENT"),
    ("SET", "ERR INVALID-ARGUMENT"),
    ("SET VAR ups-1 ups.id", "ERR INVALID-ARGUMENT"),
    ("SET TRACKING PERHAPS", "ERR INVALID-ARGUMENT"),
    ("SET TRACKING", "ERR INVALID-ARGUMENT"),
    ("SET TRACKING ON", "OK"),
    ("SET TRACKING OFF", "OK"),
    ("SET VAR ups-2 ups.id x", "ERR UNKNOWN-UPS"),
    ("SET VAR ups-1 no.such x", "ERR VAR-NOT-SUPPORTED"),
    ("SET VAR ups-1 battery.charge 5", "ERR READONLY"),
    ("INSTCMD ups-1", "ERR INVALID-ARGUMENT"),
    ("INSTCMD ups-2 beeper.mute", "ERR UNKNOWN-UPS"),
    ("INSTCMD ups-1 no.such", "ERR CMD-NOT-SUPPORTED"),
    ("INSTCMD ups-1 load.off", "ERR CMD-NOT-SUPPORTED"),
    ("INSTCMD ups-1 beeper.mute 5", "ERR INVALID-ARGUMENT"),
    ("INSTCMD ups-1 shutdown.return soon", "ERR INVALID-ARGUMENT"),
    ("INSTCMD ups-1 shutdown.return -30", "ERR INVALID-ARGUMENT"),
    ("INSTCMD ups-1 shutdown.return 11", "ERR INVALID-ARGUMENT"),
    ("INSTCMD ups-1 shutdown.return 1e99", "ERR INVALID-ARGUMENT"),
    ("INSTCMD ups-1 beeper.mute", "OK"),
    ("instcmd UPS-1 BEEPER.MUTE", "OK"),
    ("LOGOUT now", "ERR INVALID-ARGUMENT"),
    ("LOGOUT", "OK Goodbye"),
)


@pytest.mark.parametrize(("line", "answer"), NOBODY, ids=[line or "(empty)" for line, _ in NOBODY])
async def test_what_anybody_may_say(served: Served, line: str, answer: str) -> None:
    async with served.client() as client:
        assert await client.ask(line) == answer
        # The connection goes on.
        assert await client.ask("NETVER") == "1.3"
    assert served.traffic.requests == 2
    assert served.traffic.errors == answer.startswith("ERR")


@pytest.mark.parametrize(("line", "answer"), ADMIN, ids=[line for line, _ in ADMIN])
async def test_what_a_primary_may_say(served: Served, line: str, answer: str) -> None:
    async with served.client(log_in="admin") as client:
        assert await client.ask(line) == answer


def test_each_error_is_said_somewhere() -> None:
    """The errors that take more than one line are in the tests below and in `test_server`."""
    said = {answer.removeprefix("ERR ") for _, answer in (*NOBODY, *ADMIN)} & {error.value for error in Error}
    assert {error.value for error in Error} - said == {
        "ACCESS-DENIED",
        "ALREADY-LOGGED-IN",
        "ALREADY-SSL-MODE",
        "DATA-STALE",
        "DRIVER-NOT-CONNECTED",
        "FAILED",
        "INSTCMD-FAILED",
        "PASSWORD-REQUIRED",
        "TOO-LONG",
        "UNKNOWN",
    }
    assert NEVER_SAID.isdisjoint(error.value for error in Error)


async def test_lists(world: World, served: Served) -> None:
    ups = world.context.directory.find("ups-1")
    assert ups is not None
    world.rename(ups, 'Rack "3" \\ left')
    outlet = world.part(ups, "outlet", "2", commands=("outlet.off", "outlet.cycle"))
    world.post(outlet, {"outlet.realpower": 120.0}, {"outlet_on": True})
    async with served.client() as client:
        assert await client.list("UPS") == [r'UPS ups-1 "Rack \"3\" \\ left"']
        rows = await client.list("VAR ups-1")
        assert rows == sorted(rows)
        assert 'VAR ups-1 ups.status "OL"' in rows
        assert 'VAR ups-1 outlet.2.status "on"' in rows
        assert 'VAR ups-1 outlet.2.realpower "120"' in rows
        assert 'VAR ups-1 outlet.2.desc "ups-1/outlet-2"' in rows
        assert await client.list("RW ups-1") == []
        assert await client.list("CMD ups-1") == [
            "CMD ups-1 beeper.mute",
            "CMD ups-1 beeper.toggle",
            "CMD ups-1 outlet.2.load.cycle",
            "CMD ups-1 outlet.2.load.off",
            "CMD ups-1 shutdown.return",
            "CMD ups-1 test.battery.start",
        ]
        assert await client.list("ENUM ups-1 ups.status") == []
        assert await client.list("RANGE ups-1 ups.status") == []
        assert await client.list("CLIENT ups-1") == []
        assert await client.ask("GET CMDDESC ups-1 outlet.2.load.off") == (
            'CMDDESC ups-1 outlet.2.load.off "Off (ups-1/outlet-2)"'
        )


async def test_logins_are_counted_and_listed(served: Served) -> None:
    async with served.client() as watcher:
        async with served.client(log_in="monuser") as one, served.client(log_in="admin") as two:
            assert await one.ask("LOGIN ups-1") == "OK"
            assert await one.ask("LOGIN ups-1") == "ERR ALREADY-LOGGED-IN"
            assert await two.ask("LOGIN ups-1") == "OK"
            assert await watcher.ask("GET NUMLOGINS ups-1") == "NUMLOGINS ups-1 2"
            assert await watcher.list("CLIENT ups-1") == ["CLIENT ups-1 127.0.0.1"] * 2
            assert served.traffic.clients == 3
            assert await one.ask("LOGOUT") == "OK Goodbye"
            assert await one.ended()
            assert await watcher.ask("GET NUMLOGINS ups-1") == "NUMLOGINS ups-1 1"
        # The other has hung up without a word.
        await until(lambda: served.traffic.clients == 1)
        assert await watcher.ask("GET NUMLOGINS ups-1") == "NUMLOGINS ups-1 0"


async def test_a_name_without_a_password_is_not_enough(served: Served) -> None:
    async with served.client() as client:
        assert await client.ask("USERNAME admin") == "OK"
        assert await client.ask("LOGIN ups-1") == "ERR PASSWORD-REQUIRED"


@pytest.mark.parametrize(
    ("name", "password"), [("admin", "wrong"), ("nobody", "secret"), ("admin", "Secret"), ("admin", "sécret")]
)
async def test_a_wrong_name_or_password_is_denied_whatever_is_asked(served: Served, name: str, password: str) -> None:
    async with served.client() as client:
        assert await client.ask(f"USERNAME {name}") == "OK"
        assert await client.ask(f"PASSWORD {password}") == "OK"
        for request in ("LOGIN ups-1", "FSD ups-1", "SET VAR ups-1 ups.id x", "INSTCMD ups-1 beeper.mute"):
            assert await client.ask(request) == "ERR ACCESS-DENIED"
        assert await client.ask("GET VAR ups-1 ups.status") == 'VAR ups-1 ups.status "OL"'


async def test_a_password_may_hold_anything(world: World) -> None:
    users = (USERS[0].__class__("ünion", 'a "b" \\ #=ß', upsmon="secondary"),)
    world.ups()
    async with a_server(world, NutConfig(users=users)) as served, served.client() as client:
        assert await client.ask("USERNAME ünion") == "OK"
        assert await client.ask(r'PASSWORD "a \"b\" \\ #=ß"') == "OK"
        assert await client.ask("LOGIN ups-1") == "OK"


async def test_what_a_user_may_not_is_denied(served: Served) -> None:
    async with served.client(log_in="monuser") as secondary:
        assert await secondary.ask("PRIMARY ups-1") == "ERR ACCESS-DENIED"
        assert await secondary.ask("MASTER ups-1") == "ERR ACCESS-DENIED"
        assert await secondary.ask("FSD ups-1") == "ERR ACCESS-DENIED"
        assert await secondary.ask("INSTCMD ups-1 beeper.mute") == "ERR ACCESS-DENIED"
        assert await secondary.ask("GET VAR ups-1 ups.status") == 'VAR ups-1 ups.status "OL"'
    async with served.client(log_in="operator") as operator:
        assert await operator.ask("LOGIN ups-1") == "ERR ACCESS-DENIED"
        assert await operator.ask("INSTCMD ups-1 shutdown.return") == "ERR ACCESS-DENIED"
        assert await operator.ask("INSTCMD ups-1 beeper.mute") == "OK"


async def test_what_the_feed_does_not_allow_no_user_may(world: World) -> None:
    world.ups(commands=("beeper.mute",))
    async with a_server(world, NutConfig(users=USERS)) as served, served.client(log_in="admin") as client:
        assert await client.ask("INSTCMD ups-1 beeper.mute") == "ERR ACCESS-DENIED"
    assert world.given == []


async def test_a_command_reaches_the_device_with_its_argument_and_the_journal(world: World, served: Served) -> None:
    ups = world.context.directory.find("ups-1")
    assert ups is not None
    outlet = world.part(ups, "outlet", "2", commands=("outlet.off",))
    async with served.client(log_in="admin") as client:
        for request in (
            "beeper.toggle",
            "shutdown.return",
            "shutdown.return 60",
            "shutdown.return 12.5",
            "test.battery.start 90",
            "outlet.2.load.off",
        ):
            assert await client.ask(f"INSTCMD ups-1 {request}") == "OK"
    assert world.given == [
        (ups.id, "beeper.toggle", {}),
        (ups.id, "shutdown.return", {}),
        (ups.id, "shutdown.return", {"delay": 60}),
        (ups.id, "shutdown.return", {"delay": 13}),
        (ups.id, "test.battery.start", {"duration": 2}),
        (outlet.id, "outlet.off", {}),
    ]
    events = [event for event in await world.store.journal.after(0) if event.kind == "command"]
    assert {event.details["actor"] for event in events} == {"NUT admin@127.0.0.1"}
    assert len(events) == 6


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("refused", "INSTCMD-FAILED"),
        ("no_answer", "INSTCMD-FAILED"),
        ("offline", "INSTCMD-FAILED"),
        ("bad_argument", "INVALID-ARGUMENT"),
        ("not_granted", "ACCESS-DENIED"),
        ("unknown_command", "CMD-NOT-SUPPORTED"),
    ],
)
async def test_a_command_that_fails_is_told(world: World, served: Served, code: str, answer: str) -> None:
    ups = world.context.directory.find("ups-1")
    assert ups is not None

    async def perform(command: str, arguments: Arguments) -> CommandResult:
        raise CommandError(code, "No.")

    world.commands.offer(ups.id, perform)
    async with served.client(log_in="admin") as client:
        assert await client.ask("INSTCMD ups-1 beeper.mute") == f"ERR {answer}"
        assert await client.ask("SET TRACKING ON") == "OK"
        number = (await client.ask("INSTCMD ups-1 beeper.mute")).removeprefix("OK TRACKING ")
        while (told := await client.ask(f"GET TRACKING {number}")) == "PENDING":
            await asyncio.sleep(0.01)
        assert told == f"ERR {answer if answer != 'INSTCMD-FAILED' else 'FAILED'}"


async def test_a_command_is_tracked(world: World, served: Served) -> None:
    ups = world.context.directory.find("ups-1")
    assert ups is not None
    done = asyncio.Event()

    async def perform(command: str, arguments: Arguments) -> CommandResult:
        await done.wait()
        return CommandResult("Done.")

    world.commands.offer(ups.id, perform)
    async with served.client(log_in="admin") as client:
        assert await client.ask("SET TRACKING ON") == "OK"
        assert await client.ask("GET TRACKING") == "ON"
        answer = await client.ask("INSTCMD ups-1 beeper.mute")
        assert answer.startswith("OK TRACKING ")
        number = answer.split()[2]
        assert await client.ask(f"GET TRACKING {number}") == "PENDING"
        assert await client.ask("GET TRACKING 5f2d") == "ERR UNKNOWN"
        done.set()
        while (told := await client.ask(f"GET TRACKING {number}")) == "PENDING":
            await asyncio.sleep(0.01)
        assert told == "SUCCESS"


async def test_a_command_goes_on_when_its_client_cannot_wait(
    world: World, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    ups = world.context.directory.find("ups-1")
    assert ups is not None
    finished = asyncio.Event()
    may = asyncio.Event()

    async def perform(command: str, arguments: Arguments) -> CommandResult:
        await may.wait()
        finished.set()
        return CommandResult("Done.")

    monkeypatch.setattr("ridethrough.feeds.nut.dialogue.OUTCOME", 0.05)
    world.commands.offer(ups.id, perform)
    async with served.client(log_in="admin") as client:
        assert await client.ask("INSTCMD ups-1 beeper.mute") == "OK"
    may.set()
    await asyncio.wait_for(finished.wait(), 5)


async def test_a_lost_ups_is_stale_and_one_that_was_never_heard_of_has_no_driver(world: World, served: Served) -> None:
    world.post(world.device("attic"), {"link.state": "never_connected"}, {"communications_lost": True})
    ups = world.context.directory.find("ups-1")
    assert ups is not None
    world.lose(ups)
    async with served.client(log_in="admin") as client:
        for name, error in (("ups-1", "DATA-STALE"), ("attic", "DRIVER-NOT-CONNECTED")):
            for request in (
                f"GET VAR {name} ups.status",
                f"GET VAR {name} battery.charge",
                f"GET TYPE {name} ups.status",
                f"GET DESC {name} ups.status",
                f"GET CMDDESC {name} beeper.mute",
                f"LIST VAR {name}",
                f"LIST RW {name}",
                f"LIST CMD {name}",
                f"LIST ENUM {name} ups.status",
                f"SET VAR {name} ups.id x",
                f"INSTCMD {name} beeper.mute",
            ):
                assert await client.ask(request) == f"ERR {error}", request
            # What does not need the UPS goes on: a client may log in, and lead a shutdown.
            assert await client.ask(f"GET UPSDESC {name}") == f'UPSDESC {name} "{name}"'
            assert await client.ask(f"GET NUMLOGINS {name}") == f"NUMLOGINS {name} 0"
            assert await client.list(f"CLIENT {name}") == []
            assert await client.ask(f"PRIMARY {name}") == "OK PRIMARY-GRANTED"
        assert await client.ask("LOGIN ups-1") == "OK"
        assert await client.list("UPS") == ['UPS attic "attic"', 'UPS ups-1 "ups-1"']
        world.site.remove(ups.id)
        assert await client.ask("GET VAR ups-1 ups.status") == "ERR UNKNOWN-UPS"


async def test_pipelined_requests_are_answered_in_order(served: Served) -> None:
    async with served.client() as client:
        client.writer.write(b"NETVER\nGET VAR ups-1 ups.status\r\nLIST UPS\nFOO\nNETVER\n" * 200)
        for _ in range(200):
            assert [await client.hear() for _ in range(7)] == [
                "1.3",
                'VAR ups-1 ups.status "OL"',
                "BEGIN LIST UPS",
                'UPS ups-1 "ups-1"',
                "END LIST UPS",
                "ERR UNKNOWN-COMMAND",
                "1.3",
            ]
    assert USERS[0].allow <= ALL
