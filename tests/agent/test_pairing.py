"""Pairing by a code: who is trusted, and what is kept."""

import asyncio
from collections.abc import Callable
from pathlib import Path
import socket
import stat
import threading
from typing import Any

import pytest

from ridethrough_agent.bridges import PairingError
from ridethrough_agent.pairing import read_code, read_host
from tests.agent.conftest import Paired, pair
from tests.agent.sender import Authority, Closed, Sender, invitation
from tests.peers.shutdown_agent import ShutdownAgent

Make = Callable[..., ShutdownAgent]


async def _refused(agent: ShutdownAgent, port: int, *code: str) -> str:
    done = await asyncio.to_thread(agent.call, "pair", f"127.0.0.1:{port}", *code)
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    assert not list((agent.state / "bridges").glob("*")) if agent.state.exists() else True
    return done.stderr


async def test_paired_agent_serves_that_bridge(agents: Make, authority: Authority) -> None:
    agent = agents()
    async with invitation(authority) as open_:
        assert "Paired with Server room" in await agent.pair("127.0.0.1", open_.port, open_.code)
    assert open_.request == {
        "type": "pair",
        "protocol": 1,
        "secret": "0102030405",
        "name": "nas",
        "port": agent.port,
        "version": "1.0.0",
    }
    agent.start()
    await agent.until_listening()
    async with Sender(authority, open_.agent, agent.address, agent.port) as sender:
        assert sender.hello["agent"] == open_.agent
        assert (sender.hello["name"], sender.hello["protocol"]) == ("nas", 1)
        assert (await sender.command("drill"))["ok"]


async def test_running_agent_takes_up_a_pairing(agents: Make, tmp_path: Path) -> None:
    agent = agents()
    agent.start()
    await agent.until_logged("Paired with nobody yet")
    for name, known in (("A", "Paired with A"), ("B", "Paired with A, B")):
        authority = Authority(tmp_path / name, name)
        async with invitation(authority) as open_:
            await agent.pair("127.0.0.1", open_.port, open_.code)
        await agent.until_logged(known)
        async with Sender(authority, open_.agent, agent.address, agent.port) as sender:
            assert sender.state == "up"


async def test_pairing_anew_ends_the_earlier_one(agents: Make, authority: Authority) -> None:
    paired = pair(agents(), authority)
    agent = paired.agent
    agent.start()
    await agent.until_listening()
    async with paired.sender() as earlier:
        async with invitation(authority) as open_:
            await agent.pair("127.0.0.1", open_.port, open_.code)
        await earlier.until_closed()
    with pytest.raises(Closed):
        await paired.sender().__aenter__()
    async with Sender(authority, open_.agent, agent.address, agent.port) as sender:
        assert sender.state == "up"


async def test_code_is_forgiving_of_how_it_is_typed(agents: Make, authority: Authority) -> None:
    agent = agents()
    async with invitation(authority) as open_:
        typed = open_.code.lower().replace("-", " ")
        done = await _run(agent, "pair", f"127.0.0.1:{open_.port}", *typed.split(), "--name", "other\x1b[2J")
    assert done == 0
    assert open_.request["name"] == "other [2J"


async def _run(agent: ShutdownAgent, *arguments: str) -> int:
    return (await asyncio.to_thread(agent.call, *arguments)).returncode


async def test_nothing_is_sent_to_a_bridge_that_the_code_is_not_of(agents: Make, authority: Authority) -> None:
    """The secret must not reach whoever sits between."""
    async with invitation(authority) as open_:
        wrong = open_.code[:-4] + ("AAAA" if open_.code[-4:] != "AAAA" else "BBBB")
        assert "does not belong to the bridge that answers" in await _refused(agents(), open_.port, wrong)
        assert open_.bytes_read == 0


async def test_refusal_is_shown_without_its_control_characters(agents: Make, authority: Authority) -> None:
    async with invitation(authority) as open_:
        wrong = ("AAAAAAAA" if not open_.code.startswith("AAAA") else "BBBBBBBB") + open_.code.replace("-", "")[8:]
        said = await _refused(agents(), open_.port, wrong)
    assert "refused: wrong [2J code" in said


@pytest.mark.parametrize("code", ["", "ABCD", "1111-1111-1111-1111-1111-1111", "A" * 25, "\u0410" * 24])
async def test_mistyped_code(agents: Make, code: str) -> None:
    assert "mistyped" in await _refused(agents(), 9, code)


async def test_nobody_there(agents: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert "is the invitation still open?" in await _refused(agents(), port, "A" * 24)


async def test_other_side_speaks_no_tls(agents: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"220 mail.example ESMTP\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        assert "is the invitation still open?" in await _refused(agents(), server.getsockname()[1], "A" * 24)
        thread.join()


def _answer(**other: Any) -> dict[str, Any]:
    return {"type": "paired", "agent": "0" * 32, "bridge": {"id": "1" * 32, "name": "x"}, **other}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "not understood"),
        (b"nonsense\n", "not understood"),
        (b"x" * 20_000, "not understood"),
        ({"type": "refused"}, "no reason given"),
        ({"type": "paired"}, "lacks something"),
        (_answer(key="k", certificate="c", ca="a"), "no key, no certificate or no authority"),
        (_answer(key=1, certificate="c", ca="a"), "lacks something"),
        (_answer(key="k", certificate="c", ca="a", agent="../../etc/passwd"), "an identity that is none"),
        (_answer(key="k", certificate="c", ca="a", bridge={"id": "../x", "name": "x"}), "an identity that is none"),
    ],
    ids=["nothing", "no_json", "endless", "refused", "empty", "no_pem", "number", "path_as_agent", "path_as_bridge"],
)
async def test_answer_that_is_none(agents: Make, authority: Authority, answer: Any, said: str) -> None:
    async with invitation(authority, answer=answer) as open_:
        assert said in await _refused(agents(), open_.port, open_.code)


async def test_key_of_another_certificate_is_not_kept(agents: Make, authority: Authority) -> None:
    agent, identity = authority.agent()
    other = authority.agent()[1]
    answer = _answer(
        key=other.key_text, certificate=identity.certificate_text, ca=authority.root.certificate_text, agent=agent
    )
    async with invitation(authority, answer=answer) as open_:
        assert "do not belong together" in await _refused(agents(), open_.port, open_.code)


async def test_keys_are_for_their_owner_only(paired: Paired) -> None:
    folder = paired.agent.state / "bridges"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()] == [0o600]
    assert stat.S_IMODE((paired.agent.state / "state.json").stat().st_mode) == 0o600
    assert "PRIVATE" not in paired.agent.log


async def test_unpairing_somebody_unknown(paired: Paired) -> None:
    done = paired.agent.call("unpair", "nobody")
    assert done.returncode == 1
    assert "not paired with nobody" in done.stderr


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("bridge.local", ("bridge.local", 6005)),
        ("bridge.local:7000", ("bridge.local", 7000)),
        ("192.0.2.1", ("192.0.2.1", 6005)),
        ("2001:db8::1", ("2001:db8::1", 6005)),
        ("[2001:db8::1]", ("2001:db8::1", 6005)),
        ("[2001:db8::1]:7000", ("2001:db8::1", 7000)),
    ],
)
def test_host(text: str, found: tuple[str, int]) -> None:
    assert read_host(text) == found


@pytest.mark.parametrize("text", ["", ":6005", "host:", "host:0", "host:65536", "host:x", "host:\u0661", "[::1]x:7"])
def test_host_that_is_none(text: str) -> None:
    with pytest.raises(PairingError, match="is no HOST"):
        read_host(text)


def test_code_has_secret_and_fingerprint() -> None:
    assert read_code("AAAQ EAYE-AUDA OCAJ-BIFQ YDIO") == (bytes(range(5)), bytes(range(5, 15)))
