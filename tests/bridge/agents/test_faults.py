"""What goes wrong between a bridge and its agents: strangers, liars, silence, floods and bad networks."""

import asyncio
from dataclasses import replace
import logging
from typing import Any

import pytest

from ridethrough.agents.authority import open_authority
from ridethrough.agents.computer import BURST, REFILL
from ridethrough.agents.pairings import Pairing
from ridethrough.site import CommandError

from .peer import Papers
from .proxy import proxied
from .rig import Bridge


async def refused(bridge: Bridge, told: str) -> None:
    """Wait until the bridge has given up on an agent, for this reason."""
    await bridge.until(lambda: bridge.value("agent.state") == "lost")
    assert not bridge.on("agent_connected")
    with pytest.raises(CommandError) as caught:
        await bridge.give("agent.shutdown")
    assert caught.value.code == "offline"
    assert told in str(caught.value)


# Who is there


async def test_a_stranger_at_the_agents_address_learns_nothing(bridge: Bridge) -> None:
    peer = await bridge.agent(start=False)
    stranger = await _stranger(bridge)
    peer.papers = stranger
    await peer.start()
    await bridge.configure(replace(bridge.config.computers[0], port=peer.port))
    await refused(bridge, "a certificate that is not of this bridge's authority")
    assert peer.frames == []


async def test_agent_a_at_the_address_of_b_is_not_taken_for_b(bridge: Bridge) -> None:
    a = await bridge.paired("a", start=False)
    b = await bridge.agent("nas", start=False)
    b.papers = a.papers
    await b.start()
    await bridge.configure(replace(bridge.config.computers[0], port=b.port))
    await refused(bridge, "it shows the certificate of another agent")
    assert b.frames == []


async def test_an_agents_older_certificate_is_not_accepted(bridge: Bridge) -> None:
    peer = await bridge.connected()
    old = peer.papers
    signed = bridge.authority.agent(bridge.id())
    await bridge.pairings.put("nas", Pairing(signed.fingerprint, bridge.clock.utc()), bridge.authority.fingerprint)
    await refused(bridge, "a certificate that is no longer the newest; pair it anew")
    await peer.stop()
    peer.papers = Papers(old.ca, signed.certificate, signed.key)
    await peer.start()
    await bridge.until(lambda: bridge.on("agent_connected"))


@pytest.mark.parametrize(
    ("greeting", "told"),
    [
        pytest.param({"agent": "another"}, "it says that it is another agent", id="another-uuid"),
        pytest.param({"protocol": 2}, "it talks version 2 of the protocol", id="version"),
        pytest.param({"name": "x" * 10_000}, "it sent a frame that is too long", id="huge"),
        pytest.param({"seq": 2**62}, "its seq is no whole number", id="seq"),
        pytest.param({"type": "pong"}, "it did not greet first", id="no-hello"),
        pytest.param({"type": "weather"}, "it did not greet first", id="unknown-first"),
    ],
)
async def test_a_greeting_that_cannot_be_ends_the_connection(
    bridge: Bridge, greeting: dict[str, Any], told: str
) -> None:
    await bridge.agent(greeting=greeting)
    await refused(bridge, told)


async def test_what_is_no_tls_at_all_is_told(bridge: Bridge) -> None:
    server = await asyncio.start_server(lambda _reader, writer: writer.write(b"SSH-2.0-OpenSSH\r\n"), "127.0.0.1", 0)
    await bridge.agent(start=False)
    port = server.sockets[0].getsockname()[1]
    await bridge.configure(replace(bridge.config.computers[0], port=port))
    await refused(bridge, "it does not talk TLS as an agent does")
    server.close()


async def test_an_agent_that_does_not_know_this_bridge_any_longer_is_told(bridge: Bridge) -> None:
    peer = await bridge.agent(start=False)
    peer.papers = replace(peer.papers, ca=(await _stranger(bridge)).ca)
    await peer.start()
    await bridge.configure(replace(bridge.config.computers[0], port=peer.port))
    await refused(bridge, "it may not be paired with this bridge")


async def test_an_agent_that_never_greets_is_given_up(bridge: Bridge) -> None:
    await bridge.agent(mute=True)
    computer = bridge.roster.computers["nas"]
    await bridge.until(lambda: computer.problem == "it did not greet in time", step=0.01)
    await refused(bridge, "it did not greet in time")


async def test_an_agent_that_is_not_there_is_told(bridge: Bridge) -> None:
    await bridge.agent(start=False, port=9)
    await refused(bridge, "nothing listens on port 9 of 127.0.0.1; does the agent run there?")


async def test_a_name_that_nobody_knows_is_told(bridge: Bridge) -> None:
    await bridge.agent(start=False, host="no-such-host.invalid")
    await refused(bridge, "no-such-host.invalid has no address")


async def test_when_names_are_no_longer_known_the_last_address_is_tried(bridge: Bridge) -> None:
    peer = await bridge.paired()
    known = (await bridge.pairings.all())["nas"]
    await bridge.pairings.put("nas", replace(known, address="127.0.0.1"), bridge.authority.fingerprint)
    peer.host = "no-such-host.invalid"
    bridge.peers.pop("nas")
    try:
        from ridethrough.config.agents import AgentConfig

        await bridge.configure(AgentConfig("nas", "NAS", "no-such-host.invalid", peer.port))
        await bridge.until(lambda: bridge.on("agent_connected"))
    finally:
        await bridge.roster.stop()
        await peer.stop()


# What it does


async def test_an_agent_that_never_answers_is_told_and_bounded(bridge: Bridge) -> None:
    peer = await bridge.connected(deaf_to=frozenset({"shutdown", "message"}))
    giving = [asyncio.create_task(bridge.give("agent.message", text=f"{number}")) for number in range(20)]
    await bridge.until(lambda: all(task.done() for task in giving), step=0.05)
    outcomes = await asyncio.gather(*giving, return_exceptions=True)
    codes = [outcome.code for outcome in outcomes if isinstance(outcome, CommandError)]
    assert codes.count("refused") == 4
    assert codes.count("no_answer") == 16
    assert "nobody knows whether it does it" in str(outcomes[0])
    await bridge.passes(2)
    peer.deaf_to = frozenset()
    await bridge.give("agent.shutdown")


async def test_a_connection_that_breaks_under_a_command_is_told(bridge: Bridge) -> None:
    peer = await bridge.connected(deaf_to=frozenset({"shutdown"}))
    giving = asyncio.create_task(bridge.give("agent.shutdown"))
    await bridge.until(lambda: peer.commands)
    peer.drop()
    with pytest.raises(CommandError, match="Nobody knows whether it does it") as caught:
        await giving
    assert caught.value.code == "no_answer"


@pytest.mark.parametrize(
    ("result", "code", "told"),
    [
        pytest.param({"code": "busy", "message": ""}, "refused", "NAS is still busy.", id="busy"),
        pytest.param(
            {"code": "unknown_program", "message": "No such thing."},
            "refused",
            "has no program of this name in its configuration: No such thing.",
            id="program",
        ),
        pytest.param({"code": "unknown_verb"}, "unknown_command", "does not know this command", id="verb"),
        pytest.param({"code": "bad_argument"}, "bad_argument", "can do nothing with", id="argument"),
        pytest.param(
            {"code": "made up", "message": "\x1b[2Jno"}, "refused", "NAS refuses the command: [2Jno", id="new"
        ),
    ],
)
async def test_a_refusal_is_a_sentence_and_a_condition(
    bridge: Bridge, result: dict[str, Any], code: str, told: str
) -> None:
    peer = await bridge.connected(answer=lambda _: {"ok": False, **result})
    with pytest.raises(CommandError) as caught:
        await bridge.give("agent.execute", program="stop-database")
    assert caught.value.code == code
    assert told in str(caught.value)
    assert bridge.on("agent_refused")
    peer.answer = None
    await bridge.give("agent.drill")
    assert not bridge.on("agent_refused")


async def test_a_path_is_no_program_and_is_not_sent(bridge: Bridge) -> None:
    peer = await bridge.connected()
    with pytest.raises(CommandError) as caught:
        await bridge.give("agent.execute", program="../../bin/sh")
    assert caught.value.code == "bad_argument"
    assert peer.commands == []


async def test_results_that_nobody_asked_for_and_new_kinds_of_frames_change_nothing(bridge: Bridge) -> None:
    peer = await bridge.connected()
    unasked = [{"type": "result", "id": f"{number}", "ok": True, "message": "x"} for number in range(50)]
    await peer.say(*unasked, {"type": "weather"}, *[{"type": "pong", "clock": 9e9}] * 20)
    result = await bridge.give("agent.shutdown")
    assert result.message == "shutdown it is."
    assert abs(peer.commands[0]["clock"] - peer.clock) < 5
    assert bridge.value("agent.last_command") == "shutdown: shutdown it is."


async def test_an_agent_that_greets_twice_is_ended(bridge: Bridge) -> None:
    peer = await bridge.connected()
    await peer.say({**_hello(bridge, peer), "type": "hello"})
    await bridge.until(lambda: not bridge.on("agent_connected"))


async def test_an_agent_that_says_too_much_is_ended_and_memory_stays_as_it_was(bridge: Bridge) -> None:
    peer = await bridge.connected()
    for _ in range(40):
        await peer.say(b"".join(b'{"type":"weather"}\n' for _ in range(1000)))
    await bridge.until(lambda: not bridge.on("agent_connected"))


async def test_a_line_without_an_end_is_ended(bridge: Bridge) -> None:
    peer = await bridge.connected()
    await peer.say(b"x" * 20_000)
    await bridge.until(lambda: not bridge.on("agent_connected"))


async def test_an_agent_that_changes_all_the_time_does_not_fill_the_journal(bridge: Bridge) -> None:
    peer = await bridge.connected()
    for number in range(200):
        await peer.become("waiting" if number % 2 else "up")
    await peer.become("shutting_down")
    await bridge.passes(1)
    assert len(await _events(bridge)) < 3 * BURST
    await bridge.until(lambda: bridge.value("agent.state") == "shutting_down", step=1.0)
    assert bridge.clock.monotonic() < 3 * REFILL


async def test_too_many_commands_at_once_are_spread_so_that_the_agent_takes_them(bridge: Bridge) -> None:
    peer = await bridge.connected()
    began = bridge.clock.monotonic()
    giving = [asyncio.create_task(bridge.give("agent.message", text=f"{number}")) for number in range(16)]
    await bridge.until(lambda: all(task.done() for task in giving), step=0.1)
    assert len(peer.commands) == 16
    assert bridge.clock.monotonic() - began >= 0.9


async def test_a_clock_that_has_slept_is_measured_anew_and_the_command_is_given_again(bridge: Bridge) -> None:
    peer = await bridge.connected(refuse_old=True)
    peer.clock_ahead -= 3600.0
    result = await bridge.give("agent.shutdown")
    assert result.message == "shutdown it is."
    assert [command["seq"] for command in peer.commands] == [1, 2]


async def test_sequence_numbers_go_on_where_the_agent_says(bridge: Bridge) -> None:
    peer = await bridge.connected(seq=41)
    await bridge.give("agent.shutdown")
    peer.drop()
    await bridge.until(lambda: not bridge.on("agent_connected"))
    await bridge.until(lambda: bridge.on("agent_connected"))
    await bridge.give("agent.wakeup")
    assert [command["seq"] for command in peer.commands] == [42, 43]


# The network


async def test_a_cable_that_was_pulled_is_noticed_and_one_that_is_put_in_again_too(
    bridge: Bridge, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ridethrough.agents")
    peer = await bridge.agent()
    async with proxied("127.0.0.1", peer.port) as proxy:
        await bridge.configure(replace(bridge.config.computers[0], port=proxy.port))
        await bridge.until(lambda: bridge.on("agent_connected"))
        proxy.stuck = True
        await bridge.until(lambda: bridge.on("agent_lost"), step=0.5)
        proxy.stuck = False
        await bridge.until(lambda: bridge.on("agent_connected"), step=0.5)
        assert bridge.value("agent.state") == "up"
        assert not bridge.on("agent_lost")
        lines = [record.getMessage() for record in caplog.records if "NAS" in record.getMessage()]
        assert lines == [
            "NAS (nas) is lost: nothing was heard of it for 3 signs of life",
            "NAS (nas) answers again",
        ]
        await bridge.roster.stop()


@pytest.mark.parametrize("cut", [1, 100, 800, 2000])
async def test_a_connection_that_is_cut_anywhere_is_made_anew(bridge: Bridge, cut: int) -> None:
    peer = await bridge.agent(start=False)
    await peer.start()
    async with proxied("127.0.0.1", peer.port) as proxy:
        proxy.cut_after = cut
        await bridge.configure(replace(bridge.config.computers[0], port=proxy.port))
        await bridge.passes(3)
        proxy.cut_after = None
        await bridge.until(lambda: bridge.on("agent_connected"))
        await bridge.give("agent.shutdown")
        await bridge.roster.stop()


async def test_bytes_from_elsewhere_end_the_connection(bridge: Bridge) -> None:
    peer = await bridge.agent(start=False)
    await peer.start()
    async with proxied("127.0.0.1", peer.port) as proxy:
        await bridge.configure(replace(bridge.config.computers[0], port=proxy.port))
        await bridge.until(lambda: bridge.on("agent_connected"))
        before = peer.connections
        proxy.inject = b"\x17\x03\x03\x00\x20" + b"x" * 32
        await peer.become("waiting")
        await bridge.until(lambda: peer.connections > before)
        await bridge.until(lambda: bridge.value("agent.state") == "waiting")
        await bridge.roster.stop()


async def test_a_slow_network_is_no_reason_to_give_up(bridge: Bridge) -> None:
    peer = await bridge.agent(start=False)
    await peer.start()
    async with proxied("127.0.0.1", peer.port) as proxy:
        proxy.delay = 0.1
        await bridge.configure(replace(bridge.config.computers[0], port=proxy.port))
        await bridge.until(lambda: bridge.on("agent_connected"))
        await bridge.give("agent.shutdown")
        await bridge.roster.stop()


# Helpers


async def _stranger(bridge: Bridge) -> Papers:
    """Make papers of another authority, for the same name."""

    other = open_authority(bridge.world.folder / "stranger", bridge.world.context.bridge.id, None)
    signed = other.agent(bridge.id())
    return Papers(other.pem, signed.certificate, signed.key)


def _hello(bridge: Bridge, peer: Any) -> dict[str, Any]:
    return {
        "protocol": 1,
        "agent": bridge.id(),
        "session": peer.session,
        "clock": 0,
        "seq": 0,
        "state": {"state": "up"},
    }


async def _events(bridge: Bridge) -> list[Any]:
    found = await bridge.world.store.journal.after(0)
    return [event for event in found if event.device == bridge.id()]


async def test_a_bridge_that_has_stood_still_does_not_call_its_agents_lost(bridge: Bridge) -> None:
    await bridge.connected()
    bridge.clock.tick(3600.0)  # nobody could answer meanwhile: the whole computer was asleep
    await bridge.passes(40)
    assert bridge.on("agent_connected")
    lost = [event for event in await _events(bridge) if event.key == "agent_lost"]
    assert lost == []
