"""The command line, as a person types it: real processes for what runs on, this process for what ends by itself."""

from collections.abc import Iterator
from contextlib import contextmanager
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import time
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest

from ridethrough.cli import main
from scripts.demonstration.feeds import free_port

RIDETHROUGH = [sys.executable, "-m", "ridethrough"]


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Path]:
    """Run a simulated UPS on a serial line."""
    path = tmp_path / "ttyUPS"
    with running(tmp_path / "simulator.log", "simulate", "--port", str(path), "--no-pacing") as simulator:
        wait_until(lambda: "ready" in (tmp_path / "simulator.log").read_text(), simulator)
        yield path


@contextmanager
def running(log: Path, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [*RIDETHROUGH, *arguments], stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **environment}
        ) as process,
    ):
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def wait_until(reached: object, process: subprocess.Popen[bytes], seconds: float = 20) -> None:
    assert callable(reached)
    end = time.monotonic() + seconds
    while not reached():
        assert process.poll() is None, f"the process ended with {process.returncode}"
        assert time.monotonic() < end, "not reached in time"
        time.sleep(0.05)


@pytest.fixture
def config(tmp_path: Path, line: Path) -> Path:
    return write_config(tmp_path, f"megatec:{line}")


def write_config(folder: Path, link: str, port: int | None = None, more: str = "") -> Path:
    path = folder / "ridethrough.yaml"
    path.write_text(
        f"name: Here\ndata: {folder / 'data'}\napi:\n  port: {port or free_port()}\n"
        f"ups:\n  - id: ups-1\n    name: One\n    link: {link}\n    power: 1000\n    hold_time: 6\n{more}"
    )
    return path


def api_of(config: Path) -> str:
    port = config.read_text().split("port: ")[1].split()[0]
    return f"http://127.0.0.1:{port}"


def get(url: str, token: str | None = None) -> str:
    request = Request(url, headers={} if token is None else {"Authorization": f"Bearer {token}"})
    with urlopen(request, timeout=5) as response:
        text: str = response.read().decode()
        return text


def healthy(config: Path) -> bool:
    try:
        return str(json.loads(get(f"{api_of(config)}/api/v1/health"))["status"]) == "ok"
    except URLError, ConnectionError:
        return False


def token(config: Path, role: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["token", "create", f"a-{role}", "--role", role, "--config", str(config)]) == 0
    return capsys.readouterr().out.strip()


def test_check_praises_a_file_without_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_config(tmp_path, "megatec:/dev/ttyUSB0")
    assert main(["check", str(path)]) == 0
    assert "no mistakes; Here, 1 device" in capsys.readouterr().out


def test_check_names_file_line_and_what_is_permitted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_config(tmp_path, "carrier-pigeon:/loft")
    assert main(["check", str(path)]) == 1
    told = capsys.readouterr().err
    assert f"{path}:8" in told
    assert "megatec:" in told
    assert "nut:" in told


def test_check_prints_an_example_that_is_valid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--example"]) == 0
    path = tmp_path / "ridethrough.yaml"
    path.write_text(capsys.readouterr().out)
    (tmp_path / "secrets.yaml").write_text("nut_password: x\n")
    assert main(["check", str(path)]) == 0


def test_a_missing_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tmp_path / "nowhere.yaml")]) == 1
    assert "nowhere.yaml" in capsys.readouterr().err


def test_tokens_are_made_listed_and_revoked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(write_config(tmp_path, "megatec:/dev/ttyUSB0"))
    assert main(["token", "create", "ha", "--role", "engineer", "--config", path]) == 0
    secret = capsys.readouterr().out.strip()
    assert len(secret) > 30
    assert main(["token", "create", "ha", "--config", path]) == 1
    assert "ha" in capsys.readouterr().err
    assert main(["token", "list", "--config", path]) == 0
    listed = capsys.readouterr().out
    assert "engineer" in listed
    assert secret not in listed
    assert main(["token", "revoke", "ha", "--config", path]) == 0
    assert main(["token", "revoke", "ha", "--config", path]) == 1
    assert "no token" in capsys.readouterr().err.lower()


def test_a_token_needs_a_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "create", "--config", str(write_config(tmp_path, "megatec:/dev/ttyUSB0"))]) == 1
    assert "name" in capsys.readouterr().err


def test_probe_prints_every_point_with_its_unit(line: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", f"megatec:{line}"]) == 0
    rows = {row.split()[0]: row for row in capsys.readouterr().out.splitlines() if row.strip()}
    assert rows["input.voltage"].split()[1:3] == ["230.0", "V"]
    assert "Hz" in rows["input.frequency"]


def test_probe_prints_json(line: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", f"megatec:{line}", "--json"]) == 0
    rows = {row["key"]: row for row in json.loads(capsys.readouterr().out)["rows"]}
    assert rows["input.voltage"]["value"] == 230.0
    assert rows["input.voltage"]["unit"] == "V"
    assert rows["input.voltage"]["quality"] == "good"


def test_probe_says_what_to_do_when_there_is_no_port(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", f"megatec:{tmp_path / 'tty'}"]) == 1
    assert str(tmp_path / "tty") in capsys.readouterr().err


def test_probe_names_the_schemes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", "carrier-pigeon:/loft"]) == 1
    assert "megatec:" in capsys.readouterr().err


def test_simulate_lists_its_scenarios(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--list"]) == 0
    listed = capsys.readouterr().out
    for scenario in ("outage", "flapping", "low_battery", "overload", "garbled_line"):
        assert scenario in listed


def test_simulate_names_the_scenarios_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--scenario", "nonsense"]) == 1
    assert "outage" in capsys.readouterr().err


def test_the_bridge_runs_until_it_is_told_to_stop(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    customer = token(config, "customer", capsys)
    with running(tmp_path / "bridge.log", "run", str(config)) as bridge:
        wait_until(lambda: healthy(config), bridge)
    assert bridge.returncode == 0
    with running(tmp_path / "bridge.log", "run", str(config)) as bridge:
        wait_until(lambda: healthy(config), bridge)
        journal = get(f"{api_of(config)}/api/v1/events.csv", customer)
    assert [row.split(",")[4] for row in journal.splitlines() if ",system," in row] == ["started", "stopped", "started"]


@pytest.mark.parametrize("shared", ["port", "data"])
def test_two_bridges_cannot_have_one_port_nor_one_store(config: Path, tmp_path: Path, shared: str) -> None:
    port = int(api_of(config).rpartition(":")[2])
    other = tmp_path / "other.yaml"
    if shared == "port":
        other.write_text(config.read_text().replace("/data", "/other"))
    else:
        other.write_text(config.read_text().replace(str(port), str(free_port())))
    with running(tmp_path / "bridge.log", "run", str(config)) as bridge:
        wait_until(lambda: healthy(config), bridge)
        second = subprocess.run(
            [*RIDETHROUGH, "run", str(other)], capture_output=True, text=True, timeout=30, check=False
        )
    assert second.returncode == 1
    assert "Traceback" not in second.stderr
    assert (str(port) if shared == "port" else f"Another bridge uses {tmp_path / 'data'} already") in second.stderr


def test_an_address_that_is_not_there_yet_keeps_nothing_else_from_running(config: Path, tmp_path: Path) -> None:
    # An address set aside for documentation: no computer has it.
    config.write_text(config.read_text().replace("api:\n", "api:\n  listen: 192.0.2.7\n"))
    log = tmp_path / "bridge.log"
    with running(log, "run", str(config)) as bridge:
        wait_until(lambda: "runs: ups-1" in log.read_text(), bridge)
    assert bridge.returncode == 0
    assert "192.0.2.7 is no address of this computer. It is tried again" in log.read_text()


def test_a_disabled_ups_is_not_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write_config(tmp_path, f"megatec:{tmp_path / 'tty'}", more="    enabled: false\n")
    with running(tmp_path / "bridge.log", "run", str(config)) as bridge:
        wait_until(lambda: healthy(config), bridge)
    assert "cannot be reached" not in (tmp_path / "bridge.log").read_text()


def test_trace_shows_the_line_and_saves_it(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    engineer = token(config, "engineer", capsys)
    log, saved = tmp_path / "trace.log", tmp_path / "saved.txt"
    with running(tmp_path / "bridge.log", "run", str(config)) as bridge:
        wait_until(lambda: healthy(config), bridge)
        trace = ["trace", "ups-1", "--config", str(config), "--save", str(saved)]
        with running(log, *trace, RIDETHROUGH_TOKEN=engineer) as tracing:
            wait_until(lambda: "> Q1" in log.read_text() and "< (230.0" in log.read_text(), tracing)
    assert "> Q1" in saved.read_text()


def test_trace_beyond_loopback_trusts_the_bridges_own_certificate(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(config.read_text().replace("api:\n", "api:\n  listen: 0.0.0.0\n"))
    assert main(["token", "create", "far", "--role", "engineer", "--config", str(config)]) == 0
    made = capsys.readouterr()
    fingerprint = made.err.rpartition(": ")[2].strip()
    assert len(bytes.fromhex(fingerprint)) == 32
    port = api_of(config).rpartition(":")[2]
    log, far = tmp_path / "trace.log", tmp_path / "far.log"
    with running(tmp_path / "bridge.log", "run", str(config)) as bridge:
        wait_until(lambda: "The API listens" in (tmp_path / "bridge.log").read_text(), bridge)
        with running(log, "trace", "ups-1", "--config", str(config), RIDETHROUGH_TOKEN=made.out.strip()) as tracing:
            wait_until(lambda: "> Q1" in log.read_text(), tracing)
        there = ["--url", f"https://127.0.0.1:{port}", "--fingerprint", fingerprint]
        with running(far, "trace", "ups-1", *there, RIDETHROUGH_TOKEN=made.out.strip()) as tracing:
            wait_until(lambda: "> Q1" in far.read_text(), tracing)


def test_the_reader_of_a_trace_may_go_at_any_time(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engineer = token(config, "engineer", capsys)
    with running(tmp_path / "bridge.log", "run", str(config)) as bridge:
        wait_until(lambda: healthy(config), bridge)
        command = [*RIDETHROUGH, "trace", "ups-1", "--config", str(config)]
        environment = {**os.environ, "RIDETHROUGH_TOKEN": engineer}
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as trace:
            assert trace.stdout is not None
            assert trace.stderr is not None
            assert trace.stdout.readline()
            trace.stdout.close()
            assert trace.wait(20) == 0
            assert trace.stderr.read() == b""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_what_is_told_to_stop_leaves_nothing_behind(tmp_path: Path, number: signal.Signals, code: int) -> None:
    line, log = tmp_path / "ttyUPS", tmp_path / "simulator.log"
    with running(log, "simulate", "--port", str(line)) as simulator:
        wait_until(lambda: "ready" in log.read_text(), simulator)
        assert line.is_symlink()
        simulator.send_signal(number)
        assert simulator.wait(20) == code
    assert not line.is_symlink()
    assert "Traceback" not in log.read_text()


def test_trace_finds_a_bridge_that_encrypts(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(config.read_text().replace("api:\n", "api:\n  listen: 0.0.0.0\n"))
    engineer = token(config, "engineer", capsys)
    log, here = tmp_path / "trace.log", api_of(config)
    with running(tmp_path / "bridge.log", "run", str(config)) as bridge:
        wait_until(lambda: "runs: ups-1" in (tmp_path / "bridge.log").read_text(), bridge)
        with running(log, "trace", "ups-1", "--config", str(config), RIDETHROUGH_TOKEN=engineer) as tracing:
            wait_until(lambda: "> Q1" in log.read_text(), tracing)
        for options, said in (
            (["--url", here], here),
            (["--url", here.replace("http", "https")], "--fingerprint"),
            (["--fingerprint", "ab" * 32], "another certificate"),
        ):
            failed = subprocess.run(
                [*RIDETHROUGH, "trace", "ups-1", "--config", str(config), *options],
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
                env={**os.environ, "RIDETHROUGH_TOKEN": engineer},
            )
            assert failed.returncode == 1
            assert said in failed.stderr
            assert "Traceback" not in failed.stderr


def test_trace_needs_the_certificate_of_a_bridge_that_encrypts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RIDETHROUGH_TOKEN", "rt_any")
    config = write_config(tmp_path, "megatec:/dev/ttyUSB0")
    config.write_text(config.read_text().replace("api:\n", "api:\n  listen: 0.0.0.0\n"))
    for content in (None, "no certificate"):
        if content is not None:
            (tmp_path / "data").mkdir()
            (tmp_path / "data" / "api-certificate.pem").write_text(content)
        assert main(["trace", "ups-1", "--config", str(config)]) == 1
        assert "Has the bridge run yet?" in capsys.readouterr().err


def test_trace_says_what_a_wrong_fingerprint_or_address_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write_config(tmp_path, "megatec:/dev/ttyUSB0")
    monkeypatch.setenv("RIDETHROUGH_TOKEN", "x")
    assert main(["trace", "ups-1", "--url", "https://127.0.0.1:1", "--fingerprint", "zz"]) == 1
    assert "'zz' is no SHA-256 fingerprint" in capsys.readouterr().err
    assert main(["trace", "ups-1", "--url", api_of(config)]) == 1
    assert "Cannot connect" in capsys.readouterr().err


def test_simulate_names_the_scenarios_when_there_is_no_such_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--scenario", "nope"]) == 1
    assert "garbled_line" in capsys.readouterr().err


def test_trace_says_why_it_is_refused(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    guest = token(config, "guest", capsys)
    monkeypatch.delenv("RIDETHROUGH_TOKEN", raising=False)
    assert main(["trace", "ups-1", "--config", str(config)]) == 1
    assert "RIDETHROUGH_TOKEN" in capsys.readouterr().err
    with running(tmp_path / "bridge.log", "run", str(config)) as bridge:
        wait_until(lambda: healthy(config), bridge)
        monkeypatch.setenv("RIDETHROUGH_TOKEN", guest)
        assert main(["trace", "ups-1", "--url", api_of(config)]) == 1
    assert "403" in capsys.readouterr().err


def test_a_wrong_command_line_is_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["frobnicate"])
    assert stopped.value.code == 2
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    told = capsys.readouterr().out
    for command in ("run", "check", "jobs", "probe", "simulate", "trace", "token"):
        assert command in told


def test_mibs_are_listed_printed_and_saved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mibs"]) == 0
    names = capsys.readouterr().out.split()
    assert "RIDETHROUGH-UPS-MIB.txt" in names
    assert main(["mibs", "RIDETHROUGH-UPS-MIB.txt"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("RIDETHROUGH-UPS-MIB DEFINITIONS ::= BEGIN")
    assert main(["mibs", "NO-MIB.txt"]) == 1
    assert "There is no MIB file NO-MIB.txt" in capsys.readouterr().err
    # Somebody's original of a standard module stays; our own is renewed.
    folder = tmp_path / "mibs"
    folder.mkdir()
    (folder / "SNMPv2-SMI.txt").write_text("the original")
    (folder / "RIDETHROUGH-UPS-MIB.txt").write_text("an old one")
    assert main(["mibs", "--save", str(folder)]) == 0
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)
    assert (folder / "SNMPv2-SMI.txt").read_text() == "the original"
    assert (folder / "RIDETHROUGH-UPS-MIB.txt").read_text() == text
    assert str(folder / "SNMPv2-SMI.txt") not in capsys.readouterr().out
