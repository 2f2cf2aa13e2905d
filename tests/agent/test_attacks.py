"""What an attacker tries, and what comes of it: nothing."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
import json
from pathlib import Path
import socket
import ssl
import subprocess
import sys
import time
from typing import Any

import pytest

from tests.agent.conftest import Paired, pair
from tests.agent.sender import Authority, Closed
from tests.peers.shutdown_agent import SOURCES, ShutdownAgent, until


async def _unharmed(paired: Paired) -> None:
    """See that the agent is up and still serves its bridge."""
    async with paired.sender() as sender:
        assert (await sender.command("drill"))["ok"]
        assert sender.state == "up"
    assert paired.agent.alive
    assert paired.agent.downs == []


class TestReplay:
    """A recorded command is sent again."""

    async def test_in_the_same_session(self, paired: Paired) -> None:
        async with paired.sender() as sender:
            recorded = sender.frame("drill")
            assert (await sender.give(recorded))["ok"]
            answer = await sender.give(recorded)
        assert (answer["ok"], answer["code"]) == (False, "repeated")
        assert "Command refused: drill from Server room (127.0.0.1), seq 1: repeated" in paired.agent.log

    async def test_in_a_new_session(self, paired: Paired) -> None:
        async with paired.sender() as sender:
            recorded = sender.frame("shutdown")
        async with paired.sender() as sender:
            answer = await sender.give(recorded)
            assert (answer["ok"], answer["code"]) == (False, "repeated")
        await _unharmed(paired)

    async def test_with_a_number_made_higher(self, paired: Paired) -> None:
        async with paired.sender() as sender:
            recorded = sender.frame("shutdown")
        async with paired.sender() as sender:
            answer = await sender.give({**recorded, "seq": 1000})
            assert answer["code"] == "repeated"
        await _unharmed(paired)

    async def test_after_a_restart_of_the_agent(self, paired: Paired) -> None:
        async with paired.sender() as sender:
            recorded = sender.frame("drill")
            assert (await sender.give(recorded))["ok"]
        paired.agent.kill()
        paired.agent.start()
        await paired.agent.until_listening()
        async with paired.sender() as sender:
            assert sender.hello["seq"] == recorded["seq"]
            assert (await sender.give({**recorded, "session": sender.hello["session"]}))["code"] == "repeated"

    @pytest.mark.parametrize("age", [-31.0, 31.0, 86_400.0], ids=["behind", "before", "a_day_before"])
    async def test_old_command(self, paired: Paired, age: float) -> None:
        async with paired.sender() as sender:
            answer = await sender.command("shutdown", clock=sender.clock + age)
            assert answer["code"] == "old"
            # Within the window it is not too old, and a refused number is not used up.
            sender.seq -= 1
            assert (await sender.command("drill", clock=sender.clock + (29 if age > 0 else -29)))["ok"]
        await _unharmed(paired)


class TestStrangers:
    """Somebody without the right certificate, or from elsewhere."""

    async def test_certificate_of_another_authority(self, paired: Paired, tmp_path: Path) -> None:
        other = Authority(tmp_path / "other")
        context = paired.bridges[0][0].context(other.sign(f"bridge {paired.bridges[0][0].id}"))
        with pytest.raises(Closed):
            await paired.sender(context=context).__aenter__()
        await paired.agent.until_logged("Handshake with 127.0.0.1 failed")
        await _unharmed(paired)

    @pytest.mark.parametrize("valid", [(-5, -1), (1, 5)], ids=["expired", "not_yet_valid"])
    async def test_certificate_out_of_its_time(self, paired: Paired, valid: tuple[int, int]) -> None:
        authority = paired.bridges[0][0]
        context = authority.context(authority.sign(f"bridge {authority.id}", valid=valid))
        with pytest.raises(Closed):
            await paired.sender(context=context).__aenter__()
        await _unharmed(paired)

    async def test_no_certificate(self, paired: Paired) -> None:
        with pytest.raises(Closed):
            await paired.sender(context=paired.bridges[0][0].context(None)).__aenter__()
        await _unharmed(paired)

    async def test_another_agents_certificate(self, paired: Paired) -> None:
        """It is of the right authority, but no bridge's: neither as it is nor with the usage of a client."""
        authority = paired.bridges[0][0]
        _, identity = authority.agent()
        for shown in (identity, authority.sign("agent 00000000-0000-0000-0000-000000000000")):
            with pytest.raises(Closed):
                await paired.sender(context=authority.context(shown)).__aenter__()
        await paired.agent.until_logged("shows a certificate that is not the bridge's")
        await _unharmed(paired)

    async def test_another_bridges_certificate_from_the_same_authority(self, paired: Paired) -> None:
        authority = paired.bridges[0][0]
        context = authority.context(authority.sign(f"bridge {authority.id}0"))
        with pytest.raises(Closed):
            await paired.sender(context=context).__aenter__()
        await _unharmed(paired)

    async def test_one_bridge_cannot_be_another(self, agents: Callable[..., ShutdownAgent], tmp_path: Path) -> None:
        """Each of two bridges is good, but its certificate opens only its own server name."""
        paired = pair(agents(), Authority(tmp_path / "a", "A"), Authority(tmp_path / "b", "B"))
        paired.agent.start()
        await paired.agent.until_listening()
        (first, _), (_, second_agent) = paired.bridges
        context = first.context(first.client)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        name = f"{second_agent}.agent.ridethrough.internal"
        with pytest.raises(Closed):
            await paired.sender(context=context, server_name=name).__aenter__()
        await _unharmed(paired)

    @pytest.mark.parametrize("name", ["nas.local", "x" * 63 + ".agent.ridethrough.internal"], ids=["other", "long"])
    async def test_unknown_server_name(self, paired: Paired, name: str) -> None:
        with pytest.raises(Closed):
            await paired.sender(server_name=name).__aenter__()
        await paired.agent.until_logged("by a name that none of its pairings has")
        await _unharmed(paired)

    async def test_no_server_name(self, paired: Paired) -> None:
        context = paired.bridges[0][0].context(paired.bridges[0][0].client)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with pytest.raises(OSError):
            await asyncio.open_connection(paired.agent.address, paired.agent.port, ssl=context, server_hostname="")
        await _unharmed(paired)

    async def test_older_tls(self, paired: Paired) -> None:
        context = paired.bridges[0][0].context(paired.bridges[0][0].client)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(Closed):
            await paired.sender(context=context).__aenter__()
        await _unharmed(paired)

    async def test_unlisted_address(self, agents: Callable[..., ShutdownAgent], authority: Authority) -> None:
        agent = agents(sections={"senders": "addresses = 127.0.0.7, 127.0.9.0/24"})
        paired = pair(agent, authority)
        agent.start()
        await agent.until_listening()
        with pytest.raises(Closed):
            await paired.sender(address="127.0.0.8").__aenter__()
        await agent.until_logged("127.0.0.8 is not among the senders' addresses")
        for address in ("127.0.0.7", "127.0.9.200"):
            async with paired.sender(address=address) as sender:
                assert (await sender.command("drill"))["ok"]

    async def test_unpaired_bridge(self, paired: Paired) -> None:
        """Its connection ends, and it gets no new one."""
        async with paired.sender() as sender:
            assert paired.agent.call("unpair", "Server room").returncode == 0
            await sender.until_closed()
        with pytest.raises(Closed):
            await paired.sender().__aenter__()


PATHS = {
    "parent": "../x",
    "absolute": "/bin/sh",
    "backslash": "a\\b",
    "drive": "C:\\Windows\\System32\\cmd.exe",
    "unicode": "stop\u2024database",
    "wide": "\uff53\uff54\uff4f\uff50",
    "nul": "stop-database\0.sh",
    "newline": "stop-database\n",
    "blank": "stop-database --force",
    "semicolon": "stop-database;reboot",
    "dollar": "$(reboot)",
    "empty": "",
    "dots": "..",
    "hidden": ".profile",
    "option": "--help",
    "long": "a" * 65,
}


class TestArguments:
    """Things that do not belong into a command."""

    @pytest.mark.parametrize("program", PATHS.values(), ids=PATHS.keys())
    async def test_path_in_a_program_name(self, shared: Paired, program: str) -> None:
        async with shared.sender() as sender:
            assert (await sender.command("execute", {"program": program}))["code"] == "bad_argument"

    async def test_program_that_the_configuration_lacks(self, paired: Paired) -> None:
        async with paired.sender() as sender:
            assert (await sender.command("execute", {"program": "sh"}))["code"] == "unknown_program"

    @pytest.mark.parametrize(
        ("verb", "arguments", "code"),
        [
            ("execute", {"program": "x", "arguments": ["-rf", "/"]}, "bad_argument"),
            ("execute", {"program": ["sh", "-c", "reboot"]}, "bad_argument"),
            ("execute", {}, "bad_argument"),
            ("shutdown", {"delay": 0, "command": "/bin/sh"}, "bad_argument"),
            ("shutdown", {"delay": "0; reboot"}, "bad_argument"),
            ("shutdown", {"delay": True}, "bad_argument"),
            ("shutdown", {"delay": -1}, "bad_argument"),
            ("shutdown", {"delay": 86_401}, "bad_argument"),
            ("shutdown", {"delay": None}, "bad_argument"),
            ("shutdown", {"reason": "x" * 201}, "bad_argument"),
            ("shutdown", {"reason": 7}, "bad_argument"),
            ("wakeup", {"delay": 1}, "bad_argument"),
            ("drill", {"really": True}, "bad_argument"),
            ("message", {"text": ""}, "bad_argument"),
            ("message", {"text": "\x07\x1b "}, "bad_argument"),
            ("message", {"text": "x" * 501}, "bad_argument"),
            ("message", {"text": {"a": 1}}, "bad_argument"),
            ("message", ["text"], "bad_argument"),
            ("message", "text", "bad_argument"),
            ("reboot", {}, "unknown_verb"),
            ("Shutdown", {}, "unknown_verb"),
            ("__init__", {}, "unknown_verb"),
            (["shutdown"], {}, "unknown_verb"),
            (None, {}, "unknown_verb"),
        ],
        ids=lambda value: json.dumps(value)[:40],
    )
    async def test_arguments_injected(self, shared: Paired, verb: Any, arguments: Any, code: str) -> None:
        async with shared.sender() as sender:
            assert (await sender.command(verb, arguments))["code"] == code
            assert sender.state == "up"

    @pytest.mark.parametrize(
        "other",
        [
            {"seq": -1},
            {"seq": 1.5},
            {"seq": True},
            {"seq": "2"},
            {"seq": 2**53},
            {"seq": None},
            {"clock": "now"},
            {"clock": None},
            {"clock": True},
        ],
        ids=json.dumps,
    )
    async def test_numbers_that_are_none(self, shared: Paired, other: dict[str, Any]) -> None:
        async with shared.sender() as sender:
            assert (await sender.command("shutdown", **other))["code"] == "bad_argument"
            assert sender.state == "up"

    async def test_nobody_adds_lines_to_the_log(self, paired: Paired) -> None:
        forged = "mains\n2026-01-01T00:00:00.000Z INFO Command accepted: all is well\r\x1b[2J\u2028\u202e"
        async with paired.sender() as sender:
            await sender.command("shutdown", {"delay": 100, "reason": forged})
            await sender.command(forged)
            await sender.command("wakeup")
        assert not any(line.startswith("2026-01-01") for line in paired.agent.log.splitlines())
        assert not set("\r\x1b\u2028\u202e") & set(paired.agent.log)
        assert all(line[:4].isdigit() for line in paired.agent.log.splitlines())


FRAMES = {
    "oversized": b'{"type":"ping","pad":"' + b"x" * 8192 + b'"}\n',
    "endless": b"x" * 100_000,
    "nested": b'{"type":"ping","pad":' + b"[" * 4000 + b"]" * 4000 + b"}\n",
    "nested_objects": b'{"type":' * 1000 + b"1" + b"}" * 1000 + b"\n",
    "invalid_utf8": b'{"type":"ping\xff"}\n',
    "utf16": '{"type":"ping"}\n'.encode("utf-16"),
    "duplicate_keys": b'{"type":"ping","type":"command"}\n',
    "duplicate_keys_within": b'{"type":"ping","pad":{"a":1,"a":2}}\n',
    "not_a_number": b'{"type":"ping","pad":NaN}\n',
    "huge_number": b'{"type":"ping","pad":' + b"9" * 8000 + b"0000000x}\n",
    "list": b'["ping"]\n',
    "number": b"1\n",
    "empty_line": b"\n",
    "no_type": b"{}\n",
    "type_is_a_list": b'{"type":["ping"]}\n',
    "command_without_id": b'{"type":"command","verb":"shutdown"}\n',
    "http": b"GET / HTTP/1.1\r\nHost: nas\r\n\r\n",
    "alive_none": b'{"type":"ready","alive":null}\n',
    "alive_zero": b'{"type":"ready","alive":0}\n',
    "alive_infinite": b'{"type":"ready","alive":1e999}\n',
}


class TestFrames:
    """What is no frame ends the connection, and costs nothing else."""

    @pytest.mark.parametrize("line", FRAMES.values(), ids=FRAMES.keys())
    async def test_unacceptable_frame(self, shared: Paired, line: bytes) -> None:
        async with shared.sender() as sender:
            sender.send(line)
            await sender.until_closed()
        await shared.agent.until_logged("not acceptable")
        await _unharmed(shared)

    async def test_frame_of_exactly_the_permitted_length(self, paired: Paired) -> None:
        async with paired.sender() as sender:
            head, tail = b'{"type":"ping","pad":"', b'"}\n'
            sender.send(head + b"x" * (8192 - len(head) - len(tail)) + tail)
            await until(lambda: len(sender.pongs) == 1, "an answer to the ping")
            sender.send(head + b"x" * (8193 - len(head) - len(tail)) + tail)
            await sender.until_closed()

    async def test_unknown_frame_is_passed_over(self, paired: Paired) -> None:
        async with paired.sender() as sender:
            sender.send({"type": "of a later version"})
            assert (await sender.command("drill"))["ok"]


class TestFlood:
    """Too much of everything, while a good sender is served."""

    async def test_commands(self, paired: Paired) -> None:
        async with paired.sender() as sender:
            for _ in range(60):
                sender.send(sender.frame("drill"))
            await sender.until_closed()
        await paired.agent.until_logged("more than 20 commands in a second")
        assert paired.agent.log.count("Command accepted: drill") == 20
        await _unharmed(paired)

    async def test_signs_of_life(self, paired: Paired) -> None:
        async with paired.sender() as sender:
            sender.send(b'{"type":"ping"}\n' * 500)
            await sender.until_closed()
        await _unharmed(paired)

    async def test_bridge_that_does_not_read(self, paired: Paired) -> None:
        """What waits for it is bounded: it is let go."""
        async with paired.sender() as sender:
            sender.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a TLS transport has it
            end = time.monotonic() + 12
            before = _memory(paired.agent.pid)
            while time.monotonic() < end and "Connection with" not in paired.agent.log:
                sender.send(b'{"type":"ping"}\n' * 50)
                await asyncio.sleep(0.5)
            assert _memory(paired.agent.pid) - before < 4_000
        await _unharmed(paired)

    async def test_half_open_handshakes_from_another_address(self, paired: Paired) -> None:
        """A good sender gets in while 200 connections say nothing, and all of those are gone after the time allowed."""
        files = _files(paired.agent.pid)
        with ExitStack() as stack:
            _flood(stack, paired.agent, "127.0.0.66", 200)
            async with paired.sender() as sender:
                assert (await sender.command("drill"))["ok"]
                await paired.agent.until_logged("Too many connections at a time")
                # Sooner than their time is up.
                await until(lambda: _files(paired.agent.pid) <= files + 20, "room was made", 3)
            assert paired.agent.log.count("\n") < 60
        await until(lambda: _files(paired.agent.pid) <= files, "all files are closed")
        await _unharmed(paired)

    async def test_unlisted_flood_is_not_even_answered(
        self, agents: Callable[..., ShutdownAgent], authority: Authority
    ) -> None:
        agent = agents(sections={"senders": "addresses = 127.0.0.1"})
        paired = pair(agent, authority)
        agent.start()
        await agent.until_listening()
        with ExitStack() as stack:
            _flood(stack, agent, "127.0.0.66", 300)
            async with paired.sender() as sender:
                assert (await sender.command("drill"))["ok"]
        assert "Too many" not in agent.log
        assert agent.log.count("127.0.0.66") <= 10

    async def test_connections_of_one_bridge_take_each_others_place(self, paired: Paired) -> None:
        files = _files(paired.agent.pid)
        async with paired.sender() as first:
            for _ in range(5):
                async with paired.sender() as sender:
                    assert (await sender.command("drill"))["ok"]
            await first.until_closed()
        await until(lambda: _files(paired.agent.pid) <= files, "all files are closed")


def _flood(stack: ExitStack, agent: ShutdownAgent, address: str, times: int) -> None:
    for _ in range(times):
        connection = stack.enter_context(socket.socket())
        connection.bind((address, 0))
        connection.connect((agent.address, agent.port))


def _files(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def _memory(pid: int) -> int:
    """Resident memory in KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


class TestFilesOfOthers:
    """Somebody else on the same computer."""

    async def test_pairing_that_others_could_write_does_not_count(
        self, agents: Callable[..., ShutdownAgent], authority: Authority
    ) -> None:
        paired = pair(agents(), authority)
        (file,) = (paired.agent.state / "bridges").iterdir()
        file.chmod(0o666)
        check = paired.agent.call("check")
        assert check.returncode == 1
        assert f"{file} is writable by others: chmod go-w {file}" in check.stdout + check.stderr
        paired.agent.start()
        await paired.agent.until_listening()
        with pytest.raises((Closed, OSError)):
            async with paired.sender():
                pass
        file.chmod(0o600)
        assert paired.agent.call("check").returncode == 0

    def test_file_that_others_could_change_is_not_installed(
        self, agents: Callable[..., ShutdownAgent], tmp_path: Path
    ) -> None:
        file = tmp_path / "ridethrough-agent.pyz"
        subprocess.run([sys.executable, SOURCES / "build.py", file], check=True, capture_output=True)
        agent = agents(program=(str(file),))
        assert "would refuse" not in agent.call("install", "--print").stdout
        file.chmod(0o777)
        assert f"would refuse: {file} is writable by others" in agent.call("install", "--print").stdout
