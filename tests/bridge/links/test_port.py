"""The owner of serial ports, on real pseudo-terminals."""

import asyncio
import errno
import fcntl
import os
from pathlib import Path
import resource
import subprocess
import sys
import time

import pytest
import serial

from ridethrough import serial_line
from ridethrough.clock import SystemClock
from ridethrough.links.answer import FloodError, MalformedError, NoAnswerError
from ridethrough.links.base import LinkError
from ridethrough.links.line import line_settings
from ridethrough.links.ports import SerialPorts
from ridethrough.serial_line import LineSettings

from .peers import MEGATEC, STATUS, SerialPeer

TIOCGEXCL = 0x80045440
"""Linux: asks for what TIOCEXCL sets; the termios module does not know it."""
LINE = LineSettings()
FAST = LineSettings(baud=115200)


def test_the_line_is_as_fast_as_its_settings_say() -> None:
    assert LINE.seconds(47) == pytest.approx(47 * 10 / 2400)
    assert LineSettings(baud=1200, parity="E", stop_bits=2).seconds(10) == pytest.approx(10 * 12 / 1200)


def test_line_settings_come_from_the_url() -> None:
    options = {"baud": "9600", "parity": "even", "stop": "2", "dtr": "off", "rts": "on", "dialect": "mecer"}
    assert line_settings(options) == LineSettings(9600, "E", 2, dtr=False, rts=True)
    assert line_settings({}) == LINE
    assert line_settings({"parity": "odd"}, FAST) == LineSettings(115200, "O")


def test_a_wrong_setting_is_answered_with_the_permitted_ones() -> None:
    with pytest.raises(ValueError, match="baud=2401 is not possible; permitted: 300, 600, 1200, 2400"):
        line_settings({"baud": "2401"})


async def test_an_answer_says_when_its_last_byte_came(peer: SerialPeer, ports: SerialPorts) -> None:
    port = await ports.open(peer.path, LINE)
    began = time.monotonic()
    answer = await port.exchange(b"Q1\r")
    assert answer.data + b"\r" == STATUS
    assert began <= answer.at <= time.monotonic()
    assert 0 <= answer.seconds < 1


async def test_silence_ends_after_the_patience(peer: SerialPeer, ports: SerialPorts) -> None:
    port = await ports.open(peer.path, FAST)
    with pytest.raises(NoAnswerError, match=r"no answer to QGS\\r"):
        await port.exchange(b"QGS\r", patience=0.05)


async def test_an_answer_that_breaks_off_is_malformed(peer: SerialPeer, ports: SerialPorts) -> None:
    peer.answers[b"Q1\r"] = STATUS[:20]
    port = await ports.open(peer.path, FAST)
    with pytest.raises(MalformedError) as caught:
        await port.exchange(b"Q1\r", patience=0.05)
    assert caught.value.received == STATUS[:20]


async def test_a_late_answer_is_not_taken_for_the_next_one(peer: SerialPeer, ports: SerialPorts) -> None:
    peer.answers[b"Q1\r"] = None
    port = await ports.open(peer.path, FAST)
    with pytest.raises(NoAnswerError):
        await port.exchange(b"Q1\r", patience=0.05)
    peer.say(b"late\r")
    while not any(line.data == b"late\r" for line in port.trace.lines):
        await asyncio.sleep(0)
    assert (await port.exchange(b"F\r")).data == MEGATEC[b"F\r"][:-1]


async def test_a_line_that_belongs_to_no_question_is_passed_over(peer: SerialPeer, ports: SerialPorts) -> None:
    peer.answers[b"F\r"] = STATUS + MEGATEC[b"F\r"]
    port = await ports.open(peer.path, FAST)
    answer = await port.exchange(b"F\r", accept=lambda line: line.startswith(b"#"))
    assert answer.data == MEGATEC[b"F\r"][:-1]
    assert answer.strays == (STATUS[:-1],)


async def test_only_strays_are_a_malformed_answer(peer: SerialPeer, ports: SerialPorts) -> None:
    port = await ports.open(peer.path, FAST)
    with pytest.raises(MalformedError, match=r"Q1\\r was answered with \(226"):
        await port.exchange(b"Q1\r", accept=lambda _line: False, patience=0.05)


async def test_an_answer_without_an_end_is_cut_off(peer: SerialPeer, ports: SerialPorts) -> None:
    peer.answers[b"Q1\r"] = b"x" * 2000
    port = await ports.open(peer.path, FAST)
    with pytest.raises(FloodError):
        await port.exchange(b"Q1\r", longest=100)


async def test_a_torrent_of_lines_is_cut_off(peer: SerialPeer, ports: SerialPorts) -> None:
    peer.answers[b"Q1\r"] = b"x\r" * 100
    port = await ports.open(peer.path, FAST)
    with pytest.raises(FloodError):
        await port.exchange(b"Q1\r", accept=lambda _line: False)


async def test_a_device_that_never_stops_is_given_up_in_bounded_memory(peer: SerialPeer, ports: SerialPorts) -> None:
    port = await ports.open(peer.path, FAST)

    async def babble() -> None:
        while True:
            peer.say(b"\x00\xff" * 100)
            await asyncio.sleep(0)

    babbling = asyncio.create_task(babble())
    try:
        with pytest.raises(FloodError, match="does not end"):
            await port.exchange(b"Q1\r", patience=0.05)
        with pytest.raises(FloodError, match="does not stop"):
            await port.exchange(b"Q1\r", patience=0.05)
    finally:
        babbling.cancel()
    assert len(port._received) <= 4096


async def test_two_askers_wait_for_one_another(peer: SerialPeer, ports: SerialPorts) -> None:
    port = await ports.open(peer.path, FAST)
    first, second = await asyncio.gather(port.exchange(b"F\r"), port.exchange(b"I\r"))
    assert (first.data + b"\r", second.data + b"\r") == (MEGATEC[b"F\r"], MEGATEC[b"I\r"])
    assert [line.direction for line in port.trace.lines[1:]] == [">", "<", ">", "<"]


async def test_an_unplugged_adapter_is_noticed_while_idle(peer: SerialPeer, ports: SerialPorts) -> None:
    port = await ports.open(peer.path, LINE)
    idle = asyncio.create_task(port.pause(3600))
    await asyncio.sleep(0)
    peer.hang_up()
    with pytest.raises(LinkError, match=r"has gone .* unplugged\?"):
        await idle
    assert port.lost
    with pytest.raises(LinkError, match="has gone"):
        await port.exchange(b"Q1\r")


async def test_an_adapter_unplugged_while_an_answer_is_awaited_is_noticed_at_once(
    peer: SerialPeer, ports: SerialPorts
) -> None:
    peer.script = lambda _request, equipment: equipment.hang_up()
    port = await ports.open(peer.path, LINE)
    began = time.monotonic()
    with pytest.raises(LinkError, match="has gone"):
        await port.exchange(b"Q1\r", patience=30)
    assert time.monotonic() - began < 5


async def test_a_request_to_an_adapter_that_has_just_gone_fails_without_noise(
    peer: SerialPeer, ports: SerialPorts, caplog: pytest.LogCaptureFixture
) -> None:
    port = await ports.open(peer.path, LINE)
    await port.exchange(b"Q1\r")
    peer.hang_up()
    with pytest.raises(LinkError, match="has gone"):
        await port.exchange(b"Q1\r")
    assert not caplog.records


async def test_the_port_can_be_opened_again_when_it_is_back(peer: SerialPeer, ports: SerialPorts) -> None:
    port = await ports.open(peer.path, LINE)
    peer.hang_up()
    with pytest.raises(LinkError):
        await port.pause(3600)
    with pytest.raises(LinkError, match="There is no port"):
        await ports.open(peer.path, LINE)
    peer.plug_in()
    again = await ports.open(peer.path, LINE)
    assert (await again.exchange(b"Q1\r")).data + b"\r" == STATUS
    trace = ports.trace(peer.path)
    assert trace is not None
    notes = [str(line.data) for line in trace.lines if line.direction == "#"]
    assert len(notes) == 3, "opened, gone, opened again: one trace tells all"


async def test_a_port_that_is_closed_is_free(peer: SerialPeer, ports: SerialPorts) -> None:
    port = await ports.open(peer.path, LINE)
    await port.close()
    await port.close()
    await ports.open(peer.path, LINE)


async def test_a_port_belongs_to_one_link(peer: SerialPeer, ports: SerialPorts) -> None:
    await ports.open(peer.path, LINE)
    with pytest.raises(LinkError, match=r"already used by another link; give each port to one link only"):
        await ports.open(peer.path, LINE)


async def test_a_port_cannot_be_owned_under_two_names(peer: SerialPeer, ports: SerialPorts, tmp_path: Path) -> None:
    alias = tmp_path / "by-id"
    alias.symlink_to(peer.tty)
    await ports.open(peer.path, LINE)
    with pytest.raises(LinkError, match=f"{alias} is already used by another link under the name {peer.path}"):
        await ports.open(str(alias), LINE)
    assert ports.trace(str(alias)) is ports.trace(peer.path)


async def test_two_managers_do_not_share_a_port(peer: SerialPeer, ports: SerialPorts) -> None:
    await ports.open(peer.path, LINE)
    other = SerialPorts(SystemClock())
    with pytest.raises(LinkError, match="in use by another program"):
        await other.open(peer.path, LINE)


async def test_a_port_locked_by_another_process_is_left_alone(peer: SerialPeer, ports: SerialPorts) -> None:
    program = "import serial, sys; s = serial.Serial(sys.argv[1], exclusive=True); print('mine', flush=True); input()"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, peer.tty, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"mine\n"
        with pytest.raises(LinkError, match=f"{peer.path} is in use by another program; end that program"):
            await ports.open(peer.path, LINE)
    finally:
        process.kill()
        await process.communicate()
    port = await ports.open(peer.path, LINE)
    assert (await port.exchange(b"Q1\r")).data


@pytest.mark.skipif(
    not Path("/sys/dev/char/1:5/subsystem").exists(), reason="this system does not tell what its devices are"
)
async def test_a_device_that_is_no_port_is_not_even_opened(ports: SerialPorts, monkeypatch: pytest.MonkeyPatch) -> None:
    # Opening a watchdog would arm it.
    opened: list[str] = []
    monkeypatch.setattr(serial.Serial, "open", lambda device: opened.append(device.port))
    with pytest.raises(LinkError, match="/dev/zero is not a serial port"):
        await ports.open("/dev/zero", LINE)
    assert opened == []


async def test_what_is_no_port_is_called_by_its_name(ports: SerialPorts, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(LinkError, match=f"There is no port {tmp_path}/none; is the adapter plugged in"):
        await ports.open(f"{tmp_path}/none", LINE)
    for path in (str(file), str(tmp_path), "/dev/null"):
        with pytest.raises(LinkError, match=f"{path} is not a serial port"):
            await ports.open(path, LINE)
    assert ports.trace("/dev/null") is not None, "the attempt is no reason to forget the trace"


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.EACCES, "add the user of the bridge to the group that owns it.*dialout"),
        (errno.EBUSY, "in use by another program"),
        (errno.EIO, "cannot be opened: .*Input/output error"),
        (errno.ENOTTY, "not a serial port"),
    ],
)
async def test_each_reason_why_a_port_does_not_open_has_its_sentence(
    peer: SerialPeer, ports: SerialPorts, monkeypatch: pytest.MonkeyPatch, number: int, sentence: str
) -> None:
    # Root may open anything, so the kernel's refusal is put in its mouth.
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("os.open", refuse)
    with pytest.raises(LinkError, match=sentence):
        await ports.open(peer.path, LINE)


async def test_a_port_that_opens_after_it_was_given_up_is_closed_again(
    peer: SerialPeer, ports: SerialPorts, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    opened = serial_line.open_device

    def slow(*arguments: object) -> serial.Serial:
        loop.call_soon_threadsafe(began.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(10)
        return opened(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(serial_line, "open_device", slow)
    opening = asyncio.create_task(ports.open(peer.path, LINE))
    await began.wait()
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    go_on.set()
    monkeypatch.undo()
    async with asyncio.timeout(5):
        while True:
            try:
                await ports.open(peer.path, LINE)
            except LinkError:
                await asyncio.sleep(0.001)
            else:
                break


async def test_a_bridge_with_a_thousand_sockets_still_reads_its_ports(peer: SerialPeer, ports: SerialPorts) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    occupied = [os.open("/dev/null", os.O_RDONLY) for _ in range(1100)]
    try:
        port = await ports.open(peer.path, LINE)
        assert (await port.exchange(b"Q1\r")).data + b"\r" == STATUS
        await port.close()
    finally:
        for descriptor in occupied:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_request_larger_than_the_line_takes_at_once_goes_out_in_full(
    peer: SerialPeer, ports: SerialPorts
) -> None:
    port = await ports.open(peer.path, FAST)
    request = b"x" * 20_000 + b"\r"
    peer.answers[request] = b"got it\r"
    assert (await port.exchange(request)).data == b"got it"


async def test_closing_the_owner_closes_its_ports(peer: SerialPeer, ports: SerialPorts) -> None:
    port = await ports.open(peer.path, LINE)
    await ports.close()
    assert port.lost
    assert list(ports.traces) == [peer.path]
    assert ports.trace("/dev/ttyS99") is None


def exclusive(path: str) -> bool:
    """Say whether the kernel refuses the port to others."""
    descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY)
    try:
        return bool(int.from_bytes(fcntl.ioctl(descriptor, TIOCGEXCL, b"\0\0\0\0"), sys.byteorder))
    finally:
        os.close(descriptor)


async def test_a_real_port_is_refused_to_others_while_it_is_ours(
    peer: SerialPeer, ports: SerialPorts, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Only root may still open it, to look.
    monkeypatch.setattr(serial_line, "_is_pty", lambda _descriptor: False)
    port = await ports.open(peer.path, LINE)
    if os.geteuid() == 0:
        assert exclusive(peer.path)
    else:
        with pytest.raises(OSError, match="busy"):
            exclusive(peer.path)
    await port.close()
    assert not exclusive(peer.path)


async def test_a_pty_is_not_left_refused_to_a_bridge_that_was_killed(peer: SerialPeer, ports: SerialPorts) -> None:
    await ports.open(peer.path, LINE)
    assert not exclusive(peer.path)


async def test_a_port_that_goes_between_its_opening_and_its_use_is_free_again(
    peer: SerialPeer, ports: SerialPorts, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = serial_line.open_device

    def vanish(path: str, real: str, line: LineSettings) -> serial.Serial:
        device = opened(path, real, line)
        os.close(device.fd)
        device.fd = os.open("/dev/null", os.O_RDWR)
        return device

    monkeypatch.setattr(serial_line, "open_device", vanish)
    with pytest.raises(LinkError, match="not a serial port"):
        await ports.open(peer.path, LINE)
    monkeypatch.undo()
    await ports.open(peer.path, LINE)


def test_the_device_never_waits_and_tells_when_it_has_gone() -> None:
    master, slave = os.openpty()
    device = serial_line.open_device("tty", os.ttyname(slave), LINE)
    assert device.read(100) == b""
    while device.write(b"x" * 1000):
        pass
    os.close(master)
    os.close(slave)
    with pytest.raises(serial.SerialException, match="hung up"):
        device.read(100)
    with pytest.raises(serial.SerialException, match="writing failed: Input/output error"):
        device.write(b"x")
    descriptor, device.fd = device.fd, 1 << 20
    with pytest.raises(serial.SerialException, match="reading failed: Bad file descriptor"):
        device.read(100)
    device.fd = descriptor
    device.close()
