"""`ridethrough jobs`: events with their jobs, and the search among them, as a person types it."""

import json
from pathlib import Path
import subprocess
import sys
from typing import Any

import pytest

from ridethrough.cli import main

CONFIG = """\
ups:
  - id: ups-1
    link: megatec:/dev/ttyUSB0
    allow: [shutdown, outlet]
    thresholds:
      - {point: battery.charge, below: {warning: 41, alarm: 14}}
  - {id: ups-2, link: "megatec:/dev/ttyUSB1"}
jobs:
  time_zone: Europe/Berlin
  mail: {host: mail.example.org, sender: ups@example.org, receivers: [operator@example.org]}
  sms: {port: /dev/ttyUSB2, receivers: ["+491711234567"]}
  bridges: [{id: hall, url: "https://192.0.2.5:8480", token: abc}]
  webhooks: [{id: chat, url: "https://example.org/hook"}]
  events:
    - id: tell
      on: {device: [ups-1, ups-2], condition: on_battery}
      when: {every: 10 min}
      do: {mail: {to: [night@example.org]}}
    - id: text
      on: {device: ups-1, condition: on_battery}
      when: {after: 90 s}
      do: sms
    - id: off
      on: {device: ups-1, condition: threshold.battery.charge.alarm}
      when: {on_battery: 8 min}
      do: {command: {device: ups-1, command: shutdown.return, arguments: {delay: 30}}}
    - id: lamp
      on: {device: ups-1/outlet-2, condition: outlet_on}
      when: {remaining: 1 h}
      do: {remote: {bridge: hall, device: io-1, command: output.set, arguments: {number: 2, state: 1}}}
    - id: wake
      on: {device: ups-1, condition: on_battery, edge: cleared}
      do: {wake_on_lan: 00-11-22-33-44-55}
      enabled: no
    - id: own
      on: {device: ups-1, condition: user_alarm.3}
      do: {log: "A text that is too long for one line of a table, so that its end is left out here"}
    - {id: parts, on: {device: ups-2/*, condition: outlet_on}, do: {webhook: chat}}
    - {id: logs, on: {device: ups-2, condition: battery_low}, do: {syslog: {to: 192.0.2.9}}}
  schedule:
    - {id: nightly, start: 2026-01-01 03:00, repeat: daily, late: yes, do: {log: x}}
    - {id: over, start: 2026-01-01 03:00, repeat: once, do: {mail: {trap: yes}}}
    - {id: rest, start: 2026-01-01 03:00, repeat: weekly, enabled: no, do: {log: x}}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "ridethrough.yaml"
    path.write_text(CONFIG)
    return path


def rows(text: str) -> list[list[str]]:
    """Cut a table into its cells."""
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in text.splitlines()]


def test_events_are_listed_with_their_jobs(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["jobs", str(config)]) == 0
    table = rows(capsys.readouterr().out)
    assert table[0] == ["DEVICE", "CONDITION", "EVENT", "JOB", "WHEN", "WHAT"]
    assert table[1:12] == [
        ["ups-1", "on_battery", "On battery: begun", "tell", "every 10 min", "mail to night@example.org"],
        ["text", "after 90 s", "SMS"],
        ["ups-1", "on_battery", "On battery: over", "wake (switched off)", "at once", "wake 00:11:22:33:44:55"],
        [
            "ups-1",
            "threshold.battery.charge.alarm",
            "Alarm threshold battery.charge: begun",
            "off",
            "after 8 min on battery",
            "shutdown.return of ups-1 (delay 30)",
        ],
        [
            "ups-1",
            "user_alarm.3",
            "User alarm 3: begun",
            "own",
            "at once",
            "log entry: A text that is too long for one line of a table,…",
        ],
        ["ups-2", "on_battery", "On battery: begun", "tell", "every 10 min", "mail to night@example.org"],
        ["ups-2", "battery_low", "Battery low: begun", "logs", "at once", "syslog message to 192.0.2.9"],
        [
            "ups-1/outlet-2",
            "outlet_on",
            "Output: begun",
            "lamp",
            "at 1 h remaining",
            "output.set of io-1 at hall (number 2, state 1)",
        ],
        ["ups-2/outlet-*", "outlet_on", "Output: begun", "parts", "at once", "webhook chat"],
        [],
        ["SCHEDULE", "REPEAT", "NEXT", "WHAT"],
    ]
    nightly, over, rest = table[12:]
    assert nightly[:2] == ["nightly", "daily"]
    assert nightly[2][10:] in (" 03:00+01:00", " 03:00+02:00")
    assert over == ["over", "once", "never", "mail trap"]
    assert rest == ["rest", "weekly", "never", "log entry: x"]


def test_search_finds_events_whether_or_not_they_have_jobs(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["jobs", str(config), "--search", "BATTERY LOW"]) == 0
    found = rows(capsys.readouterr().out)[1:]
    assert [(row[0], row[2], row[3]) for row in found] == [
        ("ups-1", "Battery low: begun", "-"),
        ("ups-1", "Battery low: over", "-"),
        ("ups-2", "Battery low: begun", "logs"),
        ("ups-2", "Battery low: over", "-"),
    ]


@pytest.mark.parametrize(("count", "expected"), [(2, {("ups-1", "on_battery", "raised")}), (3, set())])
def test_events_with_so_many_jobs(
    config: Path, capsys: pytest.CaptureFixture[str], count: int, expected: set[tuple[str, str, str]]
) -> None:
    assert found(config, capsys, "--count", str(count)) == expected


def test_events_without_jobs(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    without = found(config, capsys, "--count", "0", "--event", "on_battery")
    assert without == {("ups-2", "on_battery", "cleared")}


def test_events_of_one_condition(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    of_it = found(config, capsys, "--event", "on_battery")
    assert of_it == {(ups, "on_battery", edge) for ups in ("ups-1", "ups-2") for edge in ("raised", "cleared")}


def found(config: Path, capsys: pytest.CaptureFixture[str], *options: str) -> set[tuple[str, str, str]]:
    assert main(["jobs", str(config), "--json", *options]) == 0
    events = json.loads(capsys.readouterr().out)["events"]
    return {(event["device"], event["condition"], event["edge"]) for event in events}


def test_no_such_event_is_said(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["jobs", str(config), "--search", "earthquake"]) == 0
    assert capsys.readouterr().out == "There are no such events.\n"
    config.write_text(CONFIG.partition("jobs:")[0])
    assert main(["jobs", str(config)]) == 0
    assert capsys.readouterr().out == "No event has a job.\n"


def test_as_json_in_a_process_of_its_own(config: Path) -> None:
    """What another program reads."""
    done = subprocess.run(
        [sys.executable, "-m", "ridethrough", "jobs", str(config), "--json"], capture_output=True, text=True, check=True
    )
    data: dict[str, Any] = json.loads(done.stdout)
    assert data["events"][0]["jobs"][0] == {
        "id": "tell",
        "name": "tell",
        "enabled": True,
        "timing": "every",
        "seconds": 600.0,
        "repeat": None,
        "action": "mail",
        "what": "mail to night@example.org",
    }
    nightly, over, _ = data["schedule"]
    assert nightly["late"] is True
    assert " 03:00+0" in nightly["next"]
    assert over["next"] == "never"


def test_a_wrong_file_is_refused(config: Path) -> None:
    config.write_text(CONFIG.replace("do: sms", "do: smoke"))
    done = subprocess.run(
        [sys.executable, "-m", "ridethrough", "jobs", str(config)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"{config}:22: jobs.events.do: " in done.stderr


def test_help_says_how_to_search(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["jobs", "--help"])
    told = capsys.readouterr().out
    for word in ("--search TEXT", "--count N", "--event CONDITION", "--json", "schedule"):
        assert word in told


def test_placeholders_are_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["jobs", "--placeholders"]) == 0
    told = capsys.readouterr().out
    assert "{event}           the event in a sentence, e.g. `Rack UPS: On battery: begun`\n" in told
    for word in ("{alarms}", "{ups.load}", "{ups-1:ups.load}"):
        assert word in told


def test_check_warns_with_file_and_line_and_succeeds(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(config)]) == 0
    told = capsys.readouterr().out
    assert f"{config}:42: warning: jobs.schedule.start: over was due at 2026-01-01 03:00, which is over\n" in told
    assert "no mistakes" in told
