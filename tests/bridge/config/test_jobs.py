"""The section jobs: of the configuration file: what is taken, and what a person is told when it is wrong."""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
import textwrap

from hypothesis import given, settings, strategies as st
import pytest
import voluptuous as vol

from ridethrough.config import BridgeConfig, ConfigError, load
from ridethrough.config.actions import (
    ACTIONS,
    Action,
    AgentAction,
    CommandAction,
    DatagramAction,
    LogAction,
    MailAction,
    RemoteAction,
    SmsAction,
    SyslogAction,
    TrapAction,
    WakeOnLanAction,
    WebhookAction,
)
from ridethrough.config.agents import AgentConfig, AgentsConfig, DatagramConfig
from ridethrough.config.document import Tree
from ridethrough.config.feeds import FeedsConfig, NutConfig
from ridethrough.config.job_schema import jobs
from ridethrough.config.jobs import (
    Cause,
    Edge,
    JobConfig,
    JobsConfig,
    MailConfig,
    RemoteConfig,
    Repeat,
    ScheduleConfig,
    SmsConfig,
    Timing,
    WebhookConfig,
    When,
)
from ridethrough.config.plans import PlanConfig, StageConfig
from ridethrough.config.references import job_faults

DEVICES = """\
ups:
  - id: ups-1
    link: megatec:/dev/ttyUSB0
    allow: [test, shutdown, outlet]
    thresholds:
      - {point: battery.charge, below: {warning: 41, alarm: 14}}
      - {id: room, point: ups.temperature, above: {warning: 30}}
  - id: ups-2
    link: megatec:/dev/ttyUSB1
transfer_switches:
  - id: sts-1
    link: modbus://192.0.2.7/1?profile=transfer_switch
jobs:
"""
FIRST = DEVICES.count("\n") + 1
"""The line that the first key of the section stands in."""
MEANS = """\
mail: {host: mail.example.org, sender: ups@example.org, receivers: [operator@example.org]}
sms: {port: /dev/ttyUSB2, receivers: ["+49 171 1234567"]}
webhooks: [{id: chat, url: "https://example.org/hook"}]
bridges: [{id: hall, url: "https://192.0.2.5:8480", token: abc}]
"""
BATTERY = "{device: ups-1, condition: on_battery}"


def read(folder: Path, section: str) -> BridgeConfig:
    """Read a configuration with these jobs."""
    file = folder / "bridge.yaml"
    file.write_text(DEVICES + textwrap.indent(textwrap.dedent(section), "  "))
    return load(file)


def problems(folder: Path, section: str) -> list[tuple[int, str]]:
    """Return what is wrong with it, by the line of the section."""
    with pytest.raises(ConfigError) as caught:
        read(folder, section)
    return [(problem.line - FIRST + 1, problem.message) for problem in caught.value.problems]


def the_problem(folder: Path, section: str) -> str:
    ((_, message),) = problems(folder, section)
    return message


def done(folder: Path, action: str, means: str = MEANS) -> Action:
    """Read one action."""
    config = read(folder, f"{means}events: [{{id: one, on: {BATTERY}, do: {action}}}]\n")
    return config.jobs.jobs[0].action


def undone(folder: Path, action: str, means: str = MEANS) -> str:
    """Return what is wrong with one action, without where it stands."""
    message = the_problem(folder, f"{means}events: [{{id: one, on: {BATTERY}, do: {action}}}]\n")
    return message.partition(": ")[2]


# What is taken


def test_without_the_section_nothing_is_done(tmp_path: Path) -> None:
    assert read(tmp_path, "").jobs == JobsConfig()


def test_the_whole_section(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    config = read(
        tmp_path,
        """\
        allow: [job]
        outage_window: 3 min
        time_zone: Europe/Berlin
        mail:
          host: mail.example.org
          security: tls
          sender: ups@example.org
          username: ups
          password: secret
          receivers: [operator@example.org, night@example.org]
          ca: ca.pem
          log: always
        sms: {port: /dev/ttyUSB2, baud: 9600, pin: "1234", receivers: +49 (171) 1234567}
        webhooks: [{id: chat, url: "https://example.org/hook", token: abc}]
        bridges: [{id: hall, url: "https://192.0.2.5:8480/", token: abc, fingerprint: "AA:FINGERPRINT"}]
        events:
          - id: tell
            name: Tell everyone
            on:
              - {device: [ups-1, ups-2], condition: [on_battery, battery_low]}
              - {device: "*", condition: "*", edge: cleared}
            when: {after: 5 min}
            ups: ups-2
            do: {log: "{event}"}
            enabled: no
        schedule:
          - {id: test, start: 2026-11-22 03:00, repeat: weekly, late: yes, do: {log: Now}}
        """.replace("FINGERPRINT", ":".join(["0b"] * 31)),
    ).jobs
    assert config.mail == MailConfig(
        "mail.example.org",
        "ups@example.org",
        465,
        "tls",
        "ups",
        "secret",
        ("operator@example.org", "night@example.org"),
        tmp_path / "ca.pem",
        "always",
    )
    assert config == JobsConfig(
        allow=frozenset({"job"}),
        outage_window=180.0,
        time_zone="Europe/Berlin",
        mail=config.mail,
        sms=SmsConfig("/dev/ttyUSB2", 9600, "1234", ("+491711234567",)),
        webhooks=(WebhookConfig("chat", "https://example.org/hook", "abc"),),
        bridges=(RemoteConfig("hall", "https://192.0.2.5:8480", "abc", "aa" + "0b" * 31),),
        jobs=(
            JobConfig(
                "tell",
                "Tell everyone",
                (
                    Cause(("ups-1", "ups-2"), ("on_battery", "battery_low")),
                    Cause(("*",), ("*",), Edge.CLEARED),
                ),
                LogAction(text="{event}"),
                When(Timing.AFTER, 300.0),
                "ups-2",
                enabled=False,
            ),
        ),
        schedule=(
            ScheduleConfig("test", "test", datetime(2026, 11, 22, 3), Repeat.WEEKLY, LogAction(text="Now"), late=True),
        ),
    )


@pytest.mark.parametrize(("security", "port"), [("none", 25), ("starttls", 587), ("tls", 465)])
def test_each_security_has_its_usual_port(tmp_path: Path, security: str, port: int) -> None:
    mail = read(tmp_path, f"mail: {{host: mail, sender: a@example.org, security: {security}}}\n").jobs.mail
    assert mail is not None
    assert mail.port == port


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("at once", When()),
        ("at_once", When()),
        ("{after: 90}", When(Timing.AFTER, 90.0)),
        ("{every: 30 s}", When(Timing.EVERY, 30.0)),
        ("{on_battery: 8 min}", When(Timing.ON_BATTERY, 480.0)),
        ("{remaining: 0.5 h}", When(Timing.REMAINING, 1800.0)),
        ("{on_battery: 8 min, every: 30 s}", When(Timing.ON_BATTERY, 480.0, 30.0)),
        ("{every: 30 s, remaining: 30 min}", When(Timing.REMAINING, 1800.0, 30.0)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_five_timings(tmp_path: Path, written: str, expected: When) -> None:
    config = read(tmp_path, f"events: [{{id: a, on: {BATTERY}, when: {written}, do: {{log: x}}}}]\n")
    assert config.jobs.jobs[0].when == expected


ACTION_CASES: dict[str, tuple[str, Action]] = {
    "log": ("{log: It is dark}", LogAction(text="It is dark")),
    "log_as_a_section": ("{log: {text: It is dark}}", LogAction(text="It is dark")),
    "mail": ("mail", MailAction()),
    "mail_in_full": (
        '{mail: {to: a@example.org, subject: "{device}", text: "x\\ny", attach: [events, data]}}',
        MailAction(to=("a@example.org",), subject="{device}", text="x\ny", attach=("events", "data")),
    ),
    "mail_trap": ("{mail: {trap: yes}}", MailAction(trap=True)),
    "command": (
        "{command: {device: ups-1, command: shutdown.return, arguments: {delay: 3 min, restore: 240}}}",
        CommandAction(device="ups-1", command="shutdown.return", arguments={"delay": 180.0, "restore": 240.0}),
    ),
    "command_of_the_events_device": (
        "{command: {command: test.battery.start, arguments: {duration: 120 s}}}",
        CommandAction(device="", command="test.battery.start", arguments={"duration": 2.0}),
    ),
    "outlet": (
        "{command: {device: ups-1/outlet-2, command: outlet.off}}",
        CommandAction(device="ups-1/outlet-2", command="outlet.off"),
    ),
    "wake_on_lan": ("{wake_on_lan: 00-11-22-AA-BB-CC}", WakeOnLanAction(macs=("00:11:22:aa:bb:cc",))),
    "wake_on_lan_in_full": (
        "{wake_on_lan: {mac: ['00:11:22:33:44:55', 001122334466], broadcast: 192.0.2.255, port: 7}}",
        WakeOnLanAction(macs=("00:11:22:33:44:55", "00:11:22:33:44:66"), broadcast="192.0.2.255", port=7),
    ),
    "sms": ("{sms: {to: ['0171/123 456'], text: Dark}}", SmsAction(to=("0171123456",), text="Dark")),
    "syslog": ("{syslog: {to: 'logs.example.org:1514'}}", SyslogAction(to="logs.example.org:1514")),
    "syslog_ipv6": ("{syslog: {to: '[2001:db8::1]:1514'}}", SyslogAction(to="[2001:db8::1]:1514")),
    "syslog_ipv6_without_port": ("{syslog: {to: '2001:db8::1'}}", SyslogAction(to="[2001:db8::1]")),
    "webhook": ("{webhook: chat}", WebhookAction(webhook="chat")),
    "remote": (
        "{remote: {bridge: hall, device: io-1, command: output.set, arguments: {number: 2, state: on}}}",
        RemoteAction(bridge="hall", device="io-1", command="output.set", arguments={"number": 2.0, "state": 1.0}),
    ),
}


@pytest.mark.parametrize(("written", "expected"), ACTION_CASES.values(), ids=ACTION_CASES)
def test_actions(tmp_path: Path, written: str, expected: Action) -> None:
    assert done(tmp_path, written) == expected


def with_agents(config: BridgeConfig, *agents: AgentConfig) -> BridgeConfig:
    return replace(
        config,
        agents=AgentsConfig(computers=agents, datagrams=DatagramConfig(enabled=True, receivers=("192.0.2.255",))),
    )


def with_actions(config: BridgeConfig, *actions: Action) -> BridgeConfig:
    cause = (Cause(("ups-1",), ("on_battery",)),)
    jobs = tuple(JobConfig(f"job-{number}", "", cause, action) for number, action in enumerate(actions))
    return replace(config, jobs=replace(config.jobs, jobs=jobs))


NAS = AgentConfig("nas", "NAS", "192.0.2.20", allow=frozenset({"shutdown", "message"}))


def test_actions_of_agents_and_datagrams_are_taken_where_agents_grant_them(tmp_path: Path) -> None:
    config = with_agents(read(tmp_path, ""), NAS)
    actions = (
        AgentAction(verb="shutdown", agents=("nas",)),
        AgentAction(verb="message", text="{device}"),
        AgentAction(verb="wakeup"),
        DatagramAction(),
        CommandAction(device="nas", command="agent.shutdown"),
    )
    assert list(job_faults(with_actions(config, *actions))) == []


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (AgentAction(verb="shutdown", agents=("nax",)), "the agent 'nax' is unknown, did you mean nas?"),
        (AgentAction(verb="execute", program="x"), "execute is not granted: add execute to allow: of nas"),
        (AgentAction(verb="start"), "start is not granted: add start to allow: of nas"),
        (CommandAction(device="nas", command="agent.execute"), "agent.execute is not granted: add execute to allow:"),
    ],
    ids=["unknown", "execute", "start", "command"],
)
def test_what_agents_do_not_grant_is_refused(tmp_path: Path, action: Action, expected: str) -> None:
    faults = list(job_faults(with_actions(with_agents(read(tmp_path, ""), NAS), action)))
    assert faults
    assert faults[0][0][:4] == ("jobs", "events", 0, "do")
    assert faults[0][1].startswith(expected)


def test_an_agent_without_hardware_address_cannot_be_started(tmp_path: Path) -> None:
    agent = replace(NAS, allow=frozenset({"start"}))
    action = AgentAction(verb="start")
    ((_, message),) = job_faults(with_actions(with_agents(read(tmp_path, ""), agent), action))
    assert message == "nas has no mac:, by which it could be woken"
    agent = replace(agent, mac="00:11:22:33:44:55")
    assert list(job_faults(with_actions(with_agents(read(tmp_path, ""), agent), action))) == []


def test_actions_and_texts_of_plans_are_checked_too(tmp_path: Path) -> None:
    right = StageConfig("one", "One", (), before=(LogAction(text="{battery.charge}"),), text="{ups.load}")
    wrong = replace(right, before=(MailAction(), CommandAction(device="ups-9", command="load.off")), text="{evnt}")
    config = replace(read(tmp_path, ""), plans=(PlanConfig("all", "All", ("ups-1",), (right, wrong)),))
    stage = ("plans", 0, "stages", 1)
    assert [(place, message.partition(",")[0]) for place, message in job_faults(config)] == [
        ((*stage, "text"), "the placeholder {evnt} is unknown"),
        ((*stage, "before", 0, "mail"), "there is no mail server; add mail: with host: and sender: under jobs:"),
        ((*stage, "before", 1, "command", "device"), "the device 'ups-9' is unknown"),
    ]


def test_a_stage_of_a_plan_is_a_device(tmp_path: Path) -> None:
    plan = PlanConfig("all", "All", ("ups-1",), (StageConfig("one", "One", ()),), allow=frozenset({"plan"}))
    config = replace(read(tmp_path, ""), plans=(plan,))
    causes = (Cause(("all",), ("plan_failed",)), Cause(("all/one",), ("stage_failed",)), Cause(("all/*",), ("*",)))
    job = JobConfig("tell", "", causes, CommandAction(device="all", command="plan.abort"))
    assert list(job_faults(replace(config, jobs=JobsConfig(jobs=(job,))))) == []
    job = replace(job, causes=(Cause(("all/two",), ("stage_failed",)),))
    ((place, message),) = job_faults(replace(config, jobs=JobsConfig(jobs=(job,))))
    assert place == ("jobs", "events", 0, "on", "device")
    assert message == "all has no two; write a part as in all/one"


def test_feeds_are_devices_too(tmp_path: Path) -> None:
    feeds = FeedsConfig(allow=frozenset({"feed"}), nut=NutConfig())
    action = CommandAction(device="bridge/feed-nut", command="feed.stop")
    assert list(job_faults(with_actions(replace(read(tmp_path, ""), feeds=feeds), action))) == []
    faults = job_faults(with_actions(replace(read(tmp_path, ""), feeds=FeedsConfig(nut=NutConfig())), action))
    assert [message.partition(",")[0] for _, message in faults] == [
        "feed.stop is not granted: add feed to allow: of feeds:"
    ]


def test_agents_verbs_in_the_file(tmp_path: Path) -> None:
    """Without agents there is one complaint, about that."""
    for verb in ("{verb: shutdown, agents: all, delay: 3 min, text: Dark}", "{verb: message, text: Dark}"):
        assert undone(tmp_path, f"{{agent: {verb}}}").startswith("there are no shutdown agents")


# What is refused


REFUSED_ACTIONS = {
    "two_at_once": ("{log: a, mail: {}}", "must be exactly one action; make a job of its own for each"),
    "none": ("{}", "must be exactly one action; make a job of its own for each"),
    "comma": ("{log: It is dark, and cold}", "must be exactly one action; quote a text that has a comma in it"),
    "a_list": ("[mail]", "must be one action, as in {mail: {to: operator@example.org}}, not a list; permitted: log, "),
    "unknown": ("{mial: {}}", "the action 'mial' is unknown, did you mean mail?"),
    "unknown_key": ("{mail: {too: a@example.org}}", "the key 'too' is unknown, did you mean to?"),
    "mail_address": ("{mail: {to: [operator]}}", "must be a mail address such as operator@example.org, not 'operator'"),
    "mail_injection": ('{mail: {to: "a@example.org\\nBcc: b@example.org"}}', "must be a mail address"),
    "mail_two_in_one": ("{mail: {to: 'a@example.org,b@example.org'}}", "must be a mail address"),
    "mail_twice": ("{mail: {to: [a@example.org, a@example.org]}}", "stands twice"),
    "mail_subject_lines": ('{mail: {subject: "a\\nb"}}', "must be a text of one line of at most 200 characters"),
    "attachment": ("{mail: {attach: event}}", "the attachment 'event' is unknown, did you mean events?"),
    "trap_with_text": ("{mail: {trap: yes, text: x}}", "is of no use with trap: yes"),
    "placeholder": ("{log: 'Load {ups.lod}'}", "the placeholder {ups.lod} is unknown, did you mean {ups.load}"),
    "placeholder_word": ("{log: '{evnt}'}", "the placeholder {evnt} is unknown, did you mean {event}"),
    "placeholder_attribute": ("{log: '{event.__class__}'}", "the placeholder {event.__class__} is unknown"),
    "placeholder_device": ("{log: '{ups-3:ups.load}'}", "of the placeholder {ups-3:ups.load} the device 'ups-3' is"),
    "placeholder_point": ("{log: '{sts-1:battery.charge}'}", "the placeholder {sts-1:battery.charge} is unknown"),
    "mac": ("{wake_on_lan: 00:11:22:33:44}", "must be a hardware address such as 00:11:22:33:44:55, "),
    "mac_mixed": ("{wake_on_lan: '00:11-22:33:44:55'}", "must be a hardware address"),
    "mac_of_everyone": ("{wake_on_lan: ff:ff:ff:ff:ff:ff}", "must be a hardware address"),
    "mac_none": ("{wake_on_lan: {mac: []}}", "must name at least one"),
    "wake_port": ("{wake_on_lan: {mac: 001122334455, port: 8}}", "the port '8' is unknown (permitted: 7, 9)"),
    "broadcast": ("{wake_on_lan: {mac: 001122334455, broadcast: 192.0.2.256}}", "must be the broadcast address of a"),
    "telephone": ("{sms: {to: call me}}", "must be a telephone number such as +49 171 1234567, not 'call me'"),
    "command": ("{command: {device: ups-1, command: test.batery.start}}", "the command 'test.batery.start' is unknown"),
    "command_of_another_kind": (
        "{command: {device: ups-1, command: transfer.prefer.a}}",
        "of ups-1, a UPS, the command 'transfer.prefer.a' is unknown",
    ),
    "command_not_granted": (
        "{command: {device: ups-2, command: test.battery.start.quick}}",
        "test.battery.start.quick is not granted: add test to allow: of ups-2",
    ),
    "command_not_granted_to_the_part": (
        "{command: {device: ups-2/outlet-1, command: outlet.off}}",
        "outlet.off is not granted: add outlet to allow: of ups-2",
    ),
    "command_of_the_bridge": (
        "{command: {device: bridge, command: job.log, arguments: {text: x}}}",
        "a job cannot give the bridge's own commands",
    ),
    "command_no_device_has": (
        "{command: {command: outlet.off}}",
        "no device of the events has the command outlet.off; name one by device:",
    ),
    "device": ("{command: {device: ups-3, command: load.off}}", "the device 'ups-3' is unknown, did you mean ups-"),
    "argument": (
        "{command: {device: ups-1, command: shutdown.return, arguments: {delai: 3}}}",
        "of shutdown.return the argument 'delai' is unknown, did you mean delay?",
    ),
    "argument_value": (
        "{command: {device: ups-1, command: shutdown.return, arguments: {delay: 3 s}}}",
        "'3 s' is out of range; must be a number from 12 to 5940 s; units: s, min, h",
    ),
    "argument_missing": (
        "{remote: {bridge: hall, device: io-1, command: output.set}}",
        "output.set needs number: 1 to 64.",
    ),
    "argument_no_section": (
        "{command: {device: ups-1, command: shutdown.return, arguments: 3}}",
        "must be a section with the names of arguments as keys, not '3'",
    ),
    "webhook": ("{webhook: chats}", "the webhook 'chats' is unknown, did you mean chat?"),
    "bridge": ("{remote: {bridge: hal, device: a, command: load.off}}", "the bridge 'hal' is unknown, did you mean"),
    "syslog_without_receivers": ("{syslog: {text: x}}", "there is no receiver; give to: here or a syslog: section"),
    "syslog_port": ("{syslog: {to: 'a:99999'}}", "must be a port from 1 to 65535"),
    "trap": ("trap", "there is no receiver of traps; add receivers: under feeds: snmp:"),
    "datagram": ("datagram", "datagrams are off; switch them on by enabled: yes under agents: datagrams:"),
    "agent_verb": ("{agent: {verb: shutdwn}}", "the verb 'shutdwn' is unknown, did you mean shutdown?"),
    "agent_message_without_text": ("{agent: {verb: message}}", "message needs a text"),
    "agent_program_missing": ("{agent: {verb: execute}}", "execute needs a program"),
    "agent_program_path": (
        "{agent: {verb: execute, program: ../../bin/sh}}",
        "must be a name from the agent's own list of programs",
    ),
    "agent_program_arguments": ("{agent: {verb: execute, program: 'stop -f'}}", "must be a name from the agent's"),
    "agent_delay_of_a_message": (
        "{agent: {verb: message, text: x, delay: 3}}",
        "is of use with verb: shutdown only",
    ),
}


@pytest.mark.parametrize(("written", "expected"), REFUSED_ACTIONS.values(), ids=REFUSED_ACTIONS)
def test_wrong_actions(tmp_path: Path, written: str, expected: str) -> None:
    assert undone(tmp_path, written).startswith(expected)


@pytest.mark.parametrize(
    ("action", "means", "expected"),
    [
        ("mail", "", "there is no mail server; add mail: with host: and sender: under jobs:"),
        ("mail", "mail: {host: a, sender: a@example.org}\n", "there is no receiver; give to: here or receivers: under"),
        ("sms: {text: x}", "", "there is no modem; add sms: with its port: under jobs:"),
        ("sms: {text: x}", "sms: {port: /dev/ttyUSB2}\n", "there is no receiver; give to: here or receivers: under"),
    ],
    ids=["no_server", "no_receiver", "no_modem", "no_number"],
)
def test_what_cannot_be_sent_is_refused(tmp_path: Path, action: str, means: str, expected: str) -> None:
    written = action if ":" not in action else f"{{{action}}}"
    assert undone(tmp_path, written, means).startswith(expected)


REFUSED_CAUSES = {
    "no_section": ("on_battery", "must be a section with keys, not 'on_battery'"),
    "empty": ("[]", "must name at least one event"),
    "no_condition": ("{device: ups-1}", "the key condition is missing"),
    "device": ("{device: ups-3, condition: on_battery}", "the device 'ups-3' is unknown, did you mean ups-"),
    "no_device": ("{device: Rack UPS, condition: on_battery}", "must be the id of a device, like ups-1"),
    "part": ("{device: ups-1/plug-1, condition: outlet_on}", "ups-1 has no plug-1; write a part as in ups-1/outlet-2"),
    "no_parts": ("{device: bridge/*, condition: outlet_on}", "nothing can belong to bridge"),
    "condition": (
        "{device: ups-1, condition: on_batery}",
        "no UPS has a condition 'on_batery'; did you mean on_battery",
    ),
    "condition_of_another": ("{device: sts-1, condition: on_battery}", "no Transfer switch has a condition 'on_batt"),
    "no_threshold": (
        "{device: ups-1, condition: threshold.ups.load.alarm}",
        "threshold.ups.load.alarm needs a threshold of that id with that level under thresholds: of the device; ",
    ),
    "no_level": (
        "{device: ups-1, condition: threshold.room.alarm}",
        "threshold.room.alarm needs a threshold of that id",
    ),
    "of_another_device": ("{device: ups-2, condition: threshold.room.warning}", "threshold.room.warning needs a"),
    "edge": ("{device: ups-1, condition: on_battery, edge: clear}", "the edge 'clear' is unknown, did you mean clear"),
    "twice": ("{device: [ups-1, ups-1], condition: on_battery}", "stands twice"),
}


@pytest.mark.parametrize(("written", "expected"), REFUSED_CAUSES.values(), ids=REFUSED_CAUSES)
def test_wrong_events(tmp_path: Path, written: str, expected: str) -> None:
    message = the_problem(tmp_path, f"events: [{{id: one, on: {written}, do: {{log: x}}}}]\n")
    assert message.startswith("jobs.events.on")
    assert message.partition(": ")[2].startswith(expected)


@pytest.mark.parametrize(
    "written",
    [
        "{device: ups-1/outlet-2, condition: outlet_on}",
        "{device: ups-1/*, condition: outlet_on}",
        "{device: '*', condition: outlet_on}",
        "{device: bridge, condition: job_failed}",
        "{device: ups-1, condition: threshold.room.warning}",
        "{device: '*', condition: threshold.room.warning}",
        "{device: [ups-1, sts-1], condition: on_battery}",
    ],
)
def test_events_of_parts_thresholds_and_patterns_are_taken(tmp_path: Path, written: str) -> None:
    assert read(tmp_path, f"events: [{{id: one, on: {written}, do: {{log: x}}}}]\n").jobs.jobs


REFUSED_TIMINGS = {
    "word": ("soon", "must be at once, {after: 5 min}, {every: 5 min}"),
    "two": ("{after: 1, every: 2}", "must be at once, {after: 5 min}"),
    "unknown": ("{aftr: 5}", "the timing 'aftr' is unknown, did you mean after?"),
    "at_once_with_time": ("{at_once: 5}", "the timing 'at_once' is unknown"),
    "unit": ("{after: 5 days}", "'5 days' has the unit days; must be a number from 1 to 604800 s; units: s, min, h"),
    "none": ("{every: 0}", "'0' is out of range"),
}


@pytest.mark.parametrize(("written", "expected"), REFUSED_TIMINGS.values(), ids=REFUSED_TIMINGS)
def test_wrong_timings(tmp_path: Path, written: str, expected: str) -> None:
    message = the_problem(tmp_path, f"events: [{{id: one, on: {BATTERY}, when: {written}, do: {{log: x}}}}]\n")
    assert message.partition(": ")[2].startswith(expected)


def test_a_clock_of_a_ups_needs_one(tmp_path: Path) -> None:
    job = "events: [{id: one, on: {device: sts-1, condition: overload}, when: {on_battery: 5 min}, %s do: {log: x}}]\n"
    assert the_problem(tmp_path, job % "") == (
        "jobs.events.when.on_battery: sts-1 is no UPS; say by ups: whose time counts"
    )
    assert the_problem(tmp_path, job % "ups: sts-1,").startswith("jobs.events.ups: the UPS 'sts-1' is unknown")
    assert read(tmp_path, job % "ups: ups-1,").jobs.jobs[0].ups == "ups-1"


REFUSED_SCHEDULES = {
    "date": ("start: 2026-11-22, repeat: daily", "must be a date with a time in local time, such as 2026-11-22 03:00"),
    "words": ("start: tomorrow, repeat: daily", "must be a date with a time"),
    "no_such_day": ("start: 2026-02-30 03:00, repeat: daily", "must be a date with a time"),
    "zone": ("start: '2026-11-22 03:00+01:00', repeat: daily", "must be a date with a time in local time"),
    "year": ("start: 1999-11-22 03:00, repeat: daily", "must be a time from 2000 to 2199"),
    "repeat": ("start: 2026-11-22 03:00, repeat: yearly", "the repetition 'yearly' is unknown"),
    "no_repeat": ("start: 2026-11-22 03:00", "the key repeat is missing"),
}


@pytest.mark.parametrize(("written", "expected"), REFUSED_SCHEDULES.values(), ids=REFUSED_SCHEDULES)
def test_wrong_schedules(tmp_path: Path, written: str, expected: str) -> None:
    message = the_problem(tmp_path, f"schedule: [{{id: one, {written}, do: {{log: x}}}}]\n")
    assert message.partition(": ")[2].startswith(expected)


def test_a_scheduled_job_has_no_device_of_an_event(tmp_path: Path) -> None:
    job = "schedule: [{id: one, start: 2026-11-22 03:00, repeat: once, do: %s}]\n"
    assert the_problem(tmp_path, job % "{command: {command: test.battery.start.quick}}") == (
        "jobs.schedule.do.command.device: must be given, as there is no event here whose device it could be"
    )
    assert the_problem(tmp_path, job % "{log: 'Load {ups.load}'}") == (
        "jobs.schedule.do.log.text: {ups.load} does not say of which device; write it as in {ups-1:ups.load}"
    )
    assert read(tmp_path, job % "{log: 'Load {ups-1:ups.load}, {now}'}").jobs.schedule


REFUSED_MEANS = {
    "zone": ("time_zone: Europe/Berln", "the time zone 'Europe/Berln' is unknown, did you mean Europe/Berlin?"),
    "zone_path": ("time_zone: ../../etc/passwd", "the time zone '../../etc/passwd' is unknown"),
    "zone_folder": ("time_zone: Europe", "the time zone 'Europe' is unknown"),
    "group": ("allow: jobs", "the command group 'jobs' is unknown, did you mean job?"),
    "window": ("outage_window: -1", "'-1' is out of range"),
    "mail_without_sender": ("mail: {host: a}", "the key sender is missing"),
    "mail_security": ("mail: {host: a, sender: a@example.org, security: ssl}", "the security 'ssl' is unknown"),
    "mail_username": ("mail: {host: a, sender: a@example.org, username: u}", "needs a password beside it"),
    "mail_password": ("mail: {host: a, sender: a@example.org, password: u}", "needs a username beside it"),
    "mail_ca": ("mail: {host: a, sender: a@example.org, ca: nowhere.pem}", "there is no file"),
    "mail_log": ("mail: {host: a, sender: a@example.org, log: sometimes}", "what is logged: 'sometimes' is unknown"),
    "pin": ("sms: {port: /dev/ttyUSB2, pin: abcd}", "must be four to eight digits"),
    "webhook_scheme": ("webhooks: [{id: a, url: 'ftp://example.org'}]", "must be an address such as https://example"),
    "webhook_port": ("webhooks: [{id: a, url: 'http://example.org:x'}]", "must be an address such as https://example"),
    "webhook_password": ("webhooks: [{id: a, url: 'https://u:p@example.org'}]", "must not have a name or a password"),
    "bridge_path": ("bridges: [{id: a, url: 'https://a/b', token: x}]", "must be an address such as https://192.0.2"),
    "bridge_in_clear": ("bridges: [{id: a, url: 'http://192.0.2.1', token: x}]", "must begin with https://"),
    "bridge_fingerprint": ("bridges: [{id: a, url: 'https://a', token: x, fingerprint: ab}]", "must be the SHA-256"),
    "bridge_token": ("bridges: [{id: a, url: 'https://a'}]", "the key token is missing"),
    "twice": ("webhooks: [{id: a, url: 'http://a'}, {id: a, url: 'http://b'}]", "a stands twice"),
}


@pytest.mark.parametrize(("written", "expected"), REFUSED_MEANS.values(), ids=REFUSED_MEANS)
def test_wrong_means(tmp_path: Path, written: str, expected: str) -> None:
    assert the_problem(tmp_path, f"{written}\n").partition(": ")[2].startswith(expected)


def test_another_bridge_on_this_computer_needs_no_tls(tmp_path: Path) -> None:
    config = read(tmp_path, "bridges: [{id: a, url: 'http://127.0.0.1:8481', token: x}]\n")
    assert config.jobs.bridges[0].url == "http://127.0.0.1:8481"
    assert read(tmp_path, "bridges: [{id: a, url: 'http://localhost:8481', token: x}]\n").jobs.bridges


def test_an_id_stands_once_in_events_and_schedule(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        f"""\
        events:
          - {{id: one, on: {BATTERY}, do: {{log: x}}}}
          - {{id: one, on: {BATTERY}, do: {{log: y}}}}
        schedule:
          - {{id: one, start: 2026-11-22 03:00, repeat: once, do: {{log: x}}}}
        """,
    )
    assert [line for line, _ in found] == [3, 5]
    assert {message.partition(": ")[2] for _, message in found} == {"one stands twice; give each an id of its own"}


def test_all_problems_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        """\
        events:
          - id: one
            on: {device: ups-1, condition: on_battery}
            do: {log: "{evnt}"}
          - id: two
            on: {device: ups-1, condition: on_battery}
            when: later
            do: {wake_on_lan: x}
        """,
    )
    assert [line for line, _ in found] == [4, 7, 8]


def test_all_unknown_references_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        """\
        events:
          - id: one
            on:
              - {device: ups-1, condition: on_battery}
              - {device: ups-9, condition: on_battery}
            do: {webhook: chat}
          - id: two
            on: {device: ups-1, condition: nothing}
            do: {command: {device: ups-2, command: load.off}}
        """,
    )
    assert [line for line, _ in found] == [5, 6, 8, 9]


def test_the_thresholds_that_there_are_are_named(tmp_path: Path) -> None:
    cause = "{device: ups-1, condition: threshold.ups.load.alarm}"
    message = the_problem(tmp_path, f"events: [{{id: one, on: {cause}, do: {{log: x}}}}]\n")
    assert message.endswith("threshold.battery.charge.warning, threshold.battery.charge.alarm, threshold.room.warning")


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    config = read(tmp_path, MEANS.replace("token: abc", "token: hunter2"))
    assert "hunter2" not in repr(config)


def test_every_action_has_a_case() -> None:
    covered = {type(action) for _, action in ACTION_CASES.values()} | {AgentAction, DatagramAction, TrapAction}
    assert covered == set(ACTIONS)


WORDS = st.sampled_from(
    [
        *(
            "id",
            "name",
            "on",
            "when",
            "do",
            "device",
            "condition",
            "edge",
            "mail",
            "to",
            "text",
            "agent",
            "verb",
            "log",
        ),
        *("command", "arguments", "delay", "ups-1", "on_battery", "*", "ups-1/*", "at once", "after", "5 min", "all"),
        *("wake_on_lan", "mac", "00:11:22:33:44:55", "events", "schedule", "start", "2026-11-22 03:00", "repeat"),
        *("daily", "webhook", "webhooks", "url", "https://example.org", "bridges", "remote", "bridge", "token", "sms"),
        *("port", "host", "sender", "a@example.org", "shutdown.return", "{event}", "{ups-1:ups.load}", "{", "☃", "-1"),
    ]
)
TREES = st.recursive(
    WORDS | st.none(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=5)
)


def a_file(value: Tree) -> Path:
    return Path(str(value))


@given(tree=TREES)
@settings(max_examples=150, deadline=None)
def test_whatever_is_written_is_taken_or_refused(tree: Tree) -> None:
    """Never with any other error."""
    with suppress(vol.Invalid):
        jobs(a_file)(tree)


def an_event(do: Tree) -> Tree:
    return {"events": [{"id": "one", "on": {"device": "ups-1", "condition": "on_battery"}, "do": do}]}


@given(do=st.dictionaries(st.sampled_from([kind.name for kind in ACTIONS]), TREES, min_size=1, max_size=1))
@settings(max_examples=150, deadline=None)
def test_whatever_an_action_is_written_as(do: dict[str, Tree]) -> None:
    with suppress(vol.Invalid):
        jobs(a_file)(an_event(dict(do)))
