"""Jobs in words, as lists and people read them."""

import pytest

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
from ridethrough.config.jobs import Timing, When
from ridethrough.config.listing import action_in_words, when_in_words

WORDS: dict[str, Action] = {
    "log entry: Dark": LogAction(text="Dark"),
    "mail": MailAction(),
    "mail to a@example.org, b@example.org": MailAction(to=("a@example.org", "b@example.org")),
    "mail trap": MailAction(trap=True),
    "shutdown: all agents": AgentAction(verb="shutdown"),
    "execute stop-database: nas, db": AgentAction(verb="execute", program="stop-database", agents=("nas", "db")),
    "RCCMD datagram, power failed": DatagramAction(),
    "RCCMD datagram, power restored to 192.0.2.9": DatagramAction(restored=True, to=("192.0.2.9",)),
    "test.battery.start of the device of the event (duration 5)": CommandAction(
        device="", command="test.battery.start", arguments={"duration": 5.0}
    ),
    "agent.message of nas (text Dark)": CommandAction(
        device="nas", command="agent.message", arguments={"text": "Dark"}
    ),
    "wake 00:11:22:33:44:55": WakeOnLanAction(macs=("00:11:22:33:44:55",)),
    "SMS to +491711234567": SmsAction(to=("+491711234567",)),
    "syslog message": SyslogAction(),
    "syslog message to logs": SyslogAction(to="logs"),
    "SNMP test trap": TrapAction(),
    "webhook chat": WebhookAction(webhook="chat"),
    "load.off of ups-1 at hall": RemoteAction(bridge="hall", device="ups-1", command="load.off"),
}


@pytest.mark.parametrize(("words", "action"), WORDS.items(), ids=WORDS)
def test_actions_in_words(words: str, action: Action) -> None:
    assert action_in_words(action) == words


def test_every_action_has_words() -> None:
    assert {type(action) for action in WORDS.values()} == set(ACTIONS)


@pytest.mark.parametrize(
    ("when", "words"),
    [
        (When(), "at once"),
        (When(Timing.AFTER, 90), "after 90 s"),
        (When(Timing.EVERY, 300), "every 5 min"),
        (When(Timing.ON_BATTERY, 7200), "after 2 h on battery"),
        (When(Timing.REMAINING, 1800), "at 30 min remaining"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_timings_in_words(when: When, words: str) -> None:
    assert when_in_words(when) == words
