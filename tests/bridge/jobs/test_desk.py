"""Jobs by hand: what is offered, and that nobody can reach more by it than the configuration does."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ridethrough.catalogue import Role
from ridethrough.config.actions import (
    Action,
    AgentAction,
    CommandAction,
    DatagramAction,
    LogAction,
    MailAction,
    RemoteAction,
    SmsAction,
    WakeOnLanAction,
    WebhookAction,
)
from ridethrough.config.agents import AgentConfig, AgentsConfig, DatagramConfig
from ridethrough.config.jobs import JobConfig, MailConfig, Repeat, ScheduleConfig, SmsConfig, WebhookConfig
from ridethrough.events import Order
from ridethrough.events.steps import ActionError
from ridethrough.jobs import JobDesk
from ridethrough.jobs.context import JobActor
from ridethrough.site import CommandError, Value

from .gsm import FakeModem, read
from .post import Mailbox, mail_server
from .rig import NOW, Shop, UdpPeer

ALL = {
    "job.run",
    "job.log",
    "job.mail",
    "job.mail_trap",
    "job.datagram",
    "job.wake_on_lan",
    "job.sms",
    "job.syslog",
    "job.webhook",
    "job.message",
}
AGENT = AgentConfig("nas", "NAS", "192.0.2.7", broadcast="198.51.100.255")
ALLOWED = frozenset({"job"})


def job(key: str, action: Any) -> JobConfig:
    """Make a job of the configuration."""
    return JobConfig(key, key, (), action)


class Counter:
    """A desk, and the person before it."""

    def __init__(self, shop: Shop, role: Role = Role.ENGINEER, agents: AgentsConfig | None = None, **jobs: Any) -> None:
        self.shop = shop
        self.person = JobActor("Anna", role)
        self.run: list[str] = []
        made = shop.configure(agents, **({"allow": ALLOWED} | jobs))
        self.desk = JobDesk(shop.context, made, shop.world.commands, self._find, self._run)
        self.desk.open()

    def _find(self, key: str) -> JobConfig:
        for one in self.shop.context.config.jobs:
            if one.key == key:
                return one
        raise ActionError(f"There is no job {key}.")

    async def _run(self, one: JobConfig, who: str) -> str:
        self.run.append(f"{one.key} by {who}")
        return f"{one.key} was run."

    @property
    def offered(self) -> frozenset[str]:
        """What the bridge says that it can do."""
        return self.shop.world.site.devices[self.shop.context.bridge.id].commands

    async def ask(self, command: str, **arguments: Value) -> str:
        """Give the bridge a command."""
        order = Order(self.shop.context.bridge.id, command, arguments)
        return (await self.shop.context.orders.give(order, self.person)).message

    async def refusal(self, command: str, **arguments: Value) -> tuple[str, str]:
        """Give the bridge a command that must be refused."""
        with pytest.raises(CommandError) as refused:
            await self.ask(command, **arguments)
        return refused.value.code, str(refused.value)


def everything(modem: str = "/dev/null", port: int = 25) -> Mapping[str, Any]:
    """Configure every means."""
    return {
        "mail": MailConfig("127.0.0.1", "ups@example.org", port, "none", receivers=("Anna <anna@example.org>",)),
        "sms": SmsConfig(modem, receivers=("+49 151 23456789",)),
        "webhooks": (WebhookConfig("panel", "http://127.0.0.1:9/"),),
        "jobs": (
            job("a", MailAction(to=("bert@example.org",))),
            job("b", SmsAction(to=("112",))),
            job("c", LogAction(text="x")),
        ),
        "schedule": (
            ScheduleConfig(
                "d", "D", NOW, Repeat.DAILY, WakeOnLanAction(macs=("00:11:22:33:44:55",), broadcast="203.0.113.255")
            ),
        ),
    }


async def test_nothing_is_offered_until_it_is_granted(shop: Shop) -> None:
    counter = Counter(shop, allow=frozenset(), **everything())
    assert counter.offered == frozenset()
    assert (await counter.refusal("job.log", text="x"))[0] == "not_granted"


async def test_what_there_are_no_means_for_is_not_offered(shop: Shop) -> None:
    assert Counter(shop).offered == {"job.run", "job.log", "job.wake_on_lan", "job.syslog"}
    datagrams = DatagramConfig(enabled=True, receivers=("127.0.0.1",))
    counter = Counter(shop, agents=AgentsConfig(computers=(AGENT,), datagrams=datagrams), **everything())
    assert counter.offered == ALL


async def test_other_commands_of_the_bridge_stay(shop: Shop) -> None:
    bridge = shop.world.site.devices[shop.context.bridge.id]
    shop.world.site.put(replace(bridge, commands=frozenset({"bridge.other"})))
    counter = Counter(shop)
    assert "bridge.other" in counter.offered
    counter.desk.close()
    assert counter.offered == {"bridge.other"}


async def test_guests_may_not(shop: Shop) -> None:
    assert (await Counter(shop, Role.CUSTOMER).refusal("job.log", text="x"))[0] == "forbidden"


async def test_job_of_the_configuration_is_tested(shop: Shop) -> None:
    counter = Counter(shop, jobs=(job("notify", LogAction(text="x")),))
    assert await counter.ask("job.run", job="notify") == "notify was run."
    assert await counter.refusal("job.run", job="missing") == ("refused", "There is no job missing.")
    assert counter.run == ["notify by Anna"]


ACTIONS: Mapping[str, tuple[Action, Role]] = {
    "mail": (MailAction(), Role.ENGINEER),
    "webhook": (WebhookAction(webhook="panel"), Role.ENGINEER),
    "wake_on_lan": (WakeOnLanAction(macs=("00:11:22:33:44:55",)), Role.ENGINEER),
    "message": (AgentAction(verb="message", text="x"), Role.ENGINEER),
    "wakeup": (AgentAction(verb="wakeup"), Role.ENGINEER),
    "shutdown": (AgentAction(verb="shutdown"), Role.ADMIN),
    "execute": (AgentAction(verb="execute", program="stop"), Role.ADMIN),
    "off": (CommandAction(device="ups-1", command="load.off"), Role.ADMIN),
    "test": (CommandAction(device="ups-1", command="test.battery.start.quick"), Role.ENGINEER),
    "beeper": (CommandAction(device="ups-1", command="beeper.mute"), Role.ENGINEER),
    "unknown_command": (CommandAction(device="ups-1", command="load.explode"), Role.ADMIN),
    "unknown_device": (CommandAction(device="ups-9", command="beeper.mute"), Role.ADMIN),
    "any_device": (CommandAction(device="", command="beeper.mute"), Role.ADMIN),
    "datagram": (DatagramAction(), Role.ADMIN),
    "remote": (RemoteAction(bridge="b", device="ups-1", command="beeper.mute"), Role.ADMIN),
}


@pytest.mark.parametrize("name", ACTIONS)
async def test_job_needs_the_role_of_what_it_does(shop: Shop, name: str) -> None:
    shop.world.device("ups-1", "ups")
    action, least = ACTIONS[name]
    engineer = Counter(shop, jobs=(job(name, action),))
    if least is Role.ENGINEER:
        await engineer.ask("job.run", job=name)
        assert engineer.run == [f"{name} by Anna"]
        return
    code, said = await engineer.refusal("job.run", job=name)
    assert code == "forbidden"
    assert said == f"The job {name} does what takes a token of the role admin; this one has engineer."
    assert engineer.run == []
    engineer.desk.close()
    admin = Counter(shop, Role.ADMIN, jobs=(job(name, action),))
    await admin.ask("job.run", job=name)
    assert admin.run == [f"{name} by Anna"]


async def test_job_is_not_run_for_nobody(shop: Shop) -> None:
    counter = Counter(shop, jobs=(job("notify", LogAction(text="x")),))
    with pytest.raises(CommandError, match="this one has none"):
        await counter.desk.perform("job.run", {"job": "notify"})
    assert counter.run == []


async def test_entry_in_the_event_log(shop: Shop) -> None:
    await Counter(shop).ask("job.log", text="Filter changed")
    (entry,) = await shop.journal("job_log")
    assert entry.details == {"text": "Filter changed", "origin": "command"}


async def test_mail_by_hand_goes_to_receivers_of_the_configuration_only(shop: Shop) -> None:
    box = Mailbox()
    async with mail_server(box) as port:
        counter = Counter(shop, **everything(port=port))
        await counter.ask("job.mail", to="", subject="Hello", text="World")
        await counter.ask("job.mail", to="ANNA@example.org, bert@example.org", subject="Hello", text="World")
        code, said = await counter.refusal("job.mail", to="anna@example.org victim@example.com", subject="x", text="y")
        assert (code, "victim@example.com is no receiver of the configuration" in said) == ("bad_argument", True)
        await counter.ask("job.mail_trap", to="anna@example.org")
        assert (await counter.refusal("job.mail_trap", to="victim@example.com"))[0] == "bad_argument"
        code, said = await counter.refusal("job.mail", to="anna", subject="x", text="y")
        assert (code, said) == ("bad_argument", "'anna' is no mail address, as ups@example.org is.")
    assert [envelope.rcpt_tos for envelope in box.envelopes] == [
        ["anna@example.org"],
        ["ANNA@example.org", "bert@example.org"],
        ["anna@example.org"],
    ]


async def test_without_receivers_there_is_no_mail_by_hand(shop: Shop) -> None:
    counter = Counter(shop, mail=MailConfig("127.0.0.1", "ups@example.org"))
    code, said = await counter.refusal("job.mail", to="anna@example.org", subject="x", text="y")
    assert (code, said.endswith("mails by hand go to nobody, as there are none.")) == ("bad_argument", True)
    assert "no receivers" in (await counter.refusal("job.mail", to="", subject="x", text="y"))[1]


async def test_address_in_the_configuration_that_is_none_harms_nobody(shop: Shop) -> None:
    counter = Counter(shop, mail=MailConfig("127.0.0.1", "ups@example.org", receivers=("nonsense",)))
    assert (await counter.refusal("job.mail", to="anna@example.org", subject="x", text="y"))[0] == "bad_argument"


async def test_text_message_by_hand(shop: Shop, tmp_path: Path) -> None:
    modem = FakeModem(tmp_path)
    counter = Counter(shop, **everything(str(modem.path)))
    await counter.ask("job.sms", to="+4915123456789; 112", text="Hello")
    assert [read(pdu)[0] for pdu in modem.sent] == ["+4915123456789", "112"]
    code, said = await counter.refusal("job.sms", to="0900123456", text="Hello")
    assert (code, "0900123456 is no receiver of the configuration" in said) == ("bad_argument", True)
    assert (await counter.refusal("job.sms", to="anna", text="x"))[0] == "bad_argument"
    modem.close()


async def test_datagrams_by_hand_go_to_the_receivers_of_the_configuration(shop: Shop, udp: UdpPeer) -> None:
    datagrams = DatagramConfig(enabled=True, receivers=("127.0.0.1",), port=udp.port)
    counter = Counter(shop, agents=AgentsConfig(datagrams=datagrams))
    await counter.ask("job.datagram")
    assert b"Autonomietime" in await udp.hear()
    await counter.ask("job.datagram", restored=1)
    assert (await udp.hear()).endswith(b"restored.")


async def test_magic_packet_by_hand_stays_in_the_house(shop: Shop, udp: UdpPeer) -> None:
    counter = Counter(shop, agents=AgentsConfig(computers=(AGENT,)), **everything())
    await counter.ask("job.wake_on_lan", mac="00-1a-2b-3c-4d-5e", address="127.0.0.1", port=udp.port)
    assert (await udp.hear()).startswith(b"\xff" * 6 + bytes.fromhex("001a2b3c4d5e"))
    for address in ("8.8.8.8", "victim.example.com", "[", "::ffff:8.8.8.8"):
        code, said = await counter.refusal("job.wake_on_lan", mac="001a2b3c4d5e", address=address)
        assert code == "bad_argument"
        assert "198.51.100.255, 203.0.113.255, 255.255.255.255" in said
    assert (await counter.refusal("job.wake_on_lan", mac="00:1a:2b:3c:4d", address="127.0.0.1"))[0] == "bad_argument"


async def test_message_to_agents_by_hand(shop: Shop) -> None:
    shop.world.device("nas", "agent", commands=("agent.message",))
    counter = Counter(shop, agents=AgentsConfig(computers=(AGENT,)))
    await counter.ask("job.message", text="Lunch", agents="")
    await counter.ask("job.message", text="Lunch", agents="nas")
    assert shop.world.given == [("nas", "agent.message", {"text": "Lunch"})] * 2
    assert await counter.refusal("job.message", text="Lunch", agents="nas, else") == (
        "bad_argument",
        "There is no agent else; there is nas.",
    )


async def test_webhook_and_syslog_by_hand(shop: Shop) -> None:
    counter = Counter(shop, **everything())
    code, said = await counter.refusal("job.webhook", name="panel")
    assert (code, "refuses the connection" in said) == ("no_answer", True)
    code, said = await counter.refusal("job.webhook", name="http://victim.example.com/")
    assert (code, "There is no webhook http://victim" in said) == ("refused", True)
    assert "Remote syslog is off" in (await counter.refusal("job.syslog", text="x"))[1]


async def test_bridge_that_was_removed_is_not_put_back(shop: Shop) -> None:
    counter = Counter(shop)
    shop.world.site.remove(shop.context.bridge.id)
    counter.desk.close()
    assert shop.context.bridge.id not in shop.world.site.devices
    with pytest.raises(CommandError, match=r"has no command job\.no"):
        await counter.desk.perform("job.no", {})
