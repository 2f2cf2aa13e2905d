"""Programs by name, and messages to the users."""

from collections.abc import Callable
import os
from pathlib import Path
import time

import pytest

from tests.agent.conftest import Paired, pair
from tests.agent.sender import Authority
from tests.peers.shutdown_agent import ShutdownAgent, until

Make = Callable[..., ShutdownAgent]


def _script(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


async def _begin(agent: ShutdownAgent, authority: Authority) -> Paired:
    paired = pair(agent, authority)
    agent.start()
    await agent.until_listening()
    return paired


async def test_program_gets_its_fixed_arguments_and_a_bare_environment(
    agents: Make, authority: Authority, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    path = _script(tmp_path, "tell", f'{{ printf "%s|" "$@"; pwd; env; }} > {out}.new; mv {out}.new {out}; echo done')
    agent = agents(
        sections={"program stop-database": f"command =\n    {path}\n    --now and here\n    $HOME; reboot\n"}
    )
    agent._environment["SECRET"] = "of whoever started the agent"
    paired = await _begin(agent, authority)
    async with paired.sender() as sender:
        assert sender.hello["programs"] == ["stop-database"]
        answer = await sender.command("execute", {"program": "stop-database"})
        assert (answer["ok"], answer["message"]) == (True, "stop-database started")
        await agent.until_logged("Program stop-database ended with 0: done")
    lines = out.read_text().splitlines()
    assert lines[0] == "--now and here|$HOME; reboot|/"
    assert {line.split("=")[0] for line in lines[1:]} <= {"PATH", "LANG", "PWD", "OLDPWD", "SHLVL", "_"}


@pytest.mark.slow
async def test_program_that_hangs_is_ended_with_its_children_and_costs_nobody_time(
    agents: Make, authority: Authority, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    path = _script(tmp_path, "hang", f"trap '' TERM\nsleep 1000 & echo $$ $! > {pids}\nwait; sleep 1000")
    agent = agents(sections={"program hang": f"command = {path}\ntimeout = 1"})
    paired = await _begin(agent, authority)
    async with paired.sender() as sender:
        began = time.monotonic()
        assert (await sender.command("execute", {"program": "hang"}))["ok"]
        answer = await sender.command("execute", {"program": "hang"})
        assert (answer["code"], answer["message"]) == ("busy", "hang is still running")
        assert (await sender.command("drill"))["ok"]
        assert time.monotonic() - began < 1
        await agent.until_logged("Program hang took too long and was ended")
        assert all(_gone(int(pid)) for pid in pids.read_text().split())
        # Its name is free again.
        assert (await sender.command("execute", {"program": "hang"}))["ok"]


def _gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has collected yet has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] == "Z"
    except FileNotFoundError:
        return True


async def test_shutdown_does_not_wait_for_a_program(agents: Make, authority: Authority, tmp_path: Path) -> None:
    path = _script(tmp_path, "slow", "sleep 30")
    paired = await _begin(agents(sections={"program slow": f"command = {path}"}), authority)
    async with paired.sender() as sender:
        await sender.command("execute", {"program": "slow"})
        await sender.command("shutdown")
        await paired.agent.until_down(3)


async def test_output_is_bounded_and_on_one_line(agents: Make, authority: Authority, tmp_path: Path) -> None:
    path = _script(tmp_path, "loud", "printf 'one\\ntwo\\033[2J\\377'; head -c 10000000 /dev/zero | tr '\\0' x; exit 4")
    agent = agents(sections={"program loud": f"command = {path}"})
    paired = await _begin(agent, authority)
    async with paired.sender() as sender:
        await sender.command("execute", {"program": "loud"})
        await agent.until_logged("Program loud ended with 4: one two [2J")
    assert agent.log_file.stat().st_size < 5000


async def test_child_that_keeps_the_output_open_is_not_waited_for(
    agents: Make, authority: Authority, tmp_path: Path
) -> None:
    path = _script(tmp_path, "fork", "sleep 5 &\necho begun")
    agent = agents(sections={"program fork": f"command = {path}"})
    paired = await _begin(agent, authority)
    async with paired.sender() as sender:
        await sender.command("execute", {"program": "fork"})
        await agent.until_logged("Program fork ended with 0: begun")


async def test_only_so_many_programs_run_at_a_time(agents: Make, authority: Authority, tmp_path: Path) -> None:
    path = _script(tmp_path, "slow", "sleep 5")
    paired = await _begin(agents(sections={f"program p{n}": f"command = {path}" for n in range(9)}), authority)
    async with paired.sender() as sender:
        answers = [await sender.command("execute", {"program": f"p{n}"}) for n in range(9)]
    assert [answer["ok"] for answer in answers] == [True] * 8 + [False]
    assert answers[-1]["code"] == "busy"


async def test_programs_that_others_could_have_changed_are_not_run(
    agents: Make, authority: Authority, tmp_path: Path
) -> None:
    """Looked at when it is run, not only when the agent began."""
    good = _script(tmp_path, "good", "true")
    open_folder = tmp_path / "open"
    _script(open_folder, "inside", "true")
    link = tmp_path / "link"
    link.symlink_to(good)
    plain = _script(tmp_path, "plain", "true")
    plain.chmod(0o644)
    broken = tmp_path / "broken"
    broken.write_text("no interpreter")
    broken.chmod(0o755)
    foreign = _script(tmp_path, "foreign", "true")
    names = {"link": link, "inside": open_folder / "inside", "plain": plain, "missing": tmp_path / "missing"}
    names |= {"broken": broken, "foreign": foreign, "folder": open_folder}
    paired = await _begin(
        agents(sections={f"program {name}": f"command = {path}" for name, path in names.items()}), authority
    )

    async with paired.sender() as sender:

        async def refused(name: str, why: str) -> None:
            answer = await sender.command("execute", {"program": name})
            assert (answer["ok"], answer["code"]) == (False, "refused")
            assert why in answer["message"]

        assert (await sender.command("execute", {"program": "link"}))["ok"]
        good.chmod(0o777)
        await until(lambda: "Program link ended" in paired.agent.log, "the end of the first")
        await refused("link", "is writable by others")
        open_folder.chmod(0o777)
        await refused("inside", "is writable by everyone")
        await refused("plain", "is not executable")
        await refused("missing", "is no file")
        await refused("folder", "is no file")
        await refused("broken", "Exec format error")
        if os.geteuid() == 0:
            os.chown(foreign, 65534, 65534)
            await refused("foreign", "belongs to another user")
    assert paired.agent.log.count("This will not work: [program ") == 3


async def test_message_reaches_a_configured_program_by_its_input(
    agents: Make, authority: Authority, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    path = _script(tmp_path, "show", f"cat > {out}.new; mv {out}.new {out}")
    paired = await _begin(agents(sections={"messages": f"show = yes\ncommand = {path}"}), authority)
    async with paired.sender() as sender:
        answer = await sender.command("message", {"text": "Save\nyour work:\x1b[2J 8 \u2764 minutes; $(reboot) \u202e"})
        assert (answer["ok"], answer["message"]) == (True, "handed to 1 program")
        await until(out.exists, "the message")
    assert out.read_text() == "Save your work: [2J 8 \u2764 minutes; $(reboot)\n"


async def test_message_command_that_is_missing_is_a_refusal(agents: Make, authority: Authority, tmp_path: Path) -> None:
    agent = agents(sections={"messages": f"show = yes\ncommand = {tmp_path / 'missing'}"})
    paired = await _begin(agent, authority)
    async with paired.sender() as sender:
        answer = await sender.command("message", {"text": "hello"})
        assert (answer["ok"], answer["code"]) == (False, "refused")
        assert "nobody can be shown a message here" in answer["message"]


async def test_messages_that_are_switched_off_are_refused(paired: Paired) -> None:
    async with paired.sender() as sender:
        assert (await sender.command("message", {"text": "hello"}))["code"] == "refused"


@pytest.mark.slow
async def test_messages_that_hang_do_not_pile_up(agents: Make, authority: Authority, tmp_path: Path) -> None:
    path = _script(tmp_path, "show", "sleep 20")
    paired = await _begin(agents(sections={"messages": f"show = yes\ncommand = {path}"}), authority)
    async with paired.sender() as sender:
        answers = [await sender.command("message", {"text": str(number)}) for number in range(5)]
        assert [answer.get("code") for answer in answers] == [None] * 4 + ["busy"]
        await paired.agent.until_logged("A program that shows messages took too long", times=4)
        assert (await sender.command("message", {"text": "now"}))["ok"]


async def test_system_shows_messages_by_itself(agents: Make, authority: Authority) -> None:
    """On whatever is there: with `wall` it is handed over, without it the refusal says so."""
    paired = await _begin(agents(sections={"messages": "show = yes"}), authority)
    async with paired.sender() as sender:
        answer = await sender.command("message", {"text": "The agent's tests say hello"})
    assert answer["ok"] or "nobody can be shown a message" in answer["message"]
