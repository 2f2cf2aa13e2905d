"""Mails, tried against a real mail server: what arrives, over which wire, and what is said when it does not."""

import asyncio
from dataclasses import replace
from email.utils import parsedate_to_datetime
import io
from pathlib import Path
from typing import Any
import zipfile

import pytest

from ridethrough.config.actions import MailAction
from ridethrough.config.jobs import MailConfig
from ridethrough.events.steps import Occasion
from ridethrough.jobs import Jobs
from ridethrough.site import Device
from tests.bridge.feeds.rig import free_port
from tests.bridge.feeds.syslog.certificates import Authority

from .post import Mailbox, mail_server, server_context
from .rig import LIMITS, Shop, Talk, drop, hang, happened, refused, tcp_peer

ANNA, BERT = "anna@example.org", "bert@example.org"


@pytest.fixture
def box() -> Mailbox:
    return Mailbox()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def post(shop: Shop, port: int, **more: Any) -> Jobs:
    """Configure the mail server on this port of the loopback."""
    config = {"security": "none", "receivers": (ANNA,), "sender": "UPS <ups@example.org>"} | more
    return shop.configure(mail=MailConfig(config.pop("host", "127.0.0.1"), port=port, **config))


def failed(shop: Shop) -> bool:
    """Whether the bridge says that mails cannot be sent."""
    return shop.world.site.conditions(shop.context.bridge.id)["mail_failed"].active


# What arrives


async def test_mail_tells_the_event_and_the_state_of_its_device(shop: Shop, ups: Device, box: Mailbox) -> None:
    shop.world.post(ups, {"battery.charge": 87.5, "battery.runtime": 1234.0}, {"on_battery": True})
    async with mail_server(box) as port:
        said = await post(shop, port).perform(MailAction(), happened(ups))
    assert said == f"Sent to {ANNA}."
    message = box.message()
    assert (message["From"], message["To"]) == ("UPS <ups@example.org>", ANNA)
    assert message["Subject"] == "ups-1: On battery: begun"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"].endswith("@example.org>")
    assert abs((parsedate_to_datetime(message["Date"]) - shop.context.clock.utc()).total_seconds()) < 60
    text = box.text()
    assert text.startswith("ups-1: On battery: begun\n\nEvent: number 17, 2026-01-02 03:04:05 UTC, alarm\n")
    assert "Device: ups-1 (ups-1, Example UPS 3000)\n" in text
    assert "Battery charge: 88 %\n" in text or "Battery charge: 87.5 %\n" in text
    assert "\nOn battery: since 20" in text
    assert box.envelopes[0].mail_from == "ups@example.org"
    assert box.greeted == ["[127.0.0.1]"] or "." in box.greeted[0]


async def test_value_that_is_lost_is_not_told_as_if_it_were_so(shop: Shop, ups: Device, box: Mailbox) -> None:
    shop.world.post(ups, {}, {"on_battery": True})
    shop.world.lose(ups)
    async with mail_server(box) as port:
        await post(shop, port).perform(MailAction(), happened(ups))
    text = box.text()
    assert "Battery charge: n/a\n" in text
    assert "(not heard of since)" in text


async def test_mail_with_words_of_its_own_goes_to_its_own_receivers(shop: Shop, ups: Device, box: Mailbox) -> None:
    action = MailAction(to=(ANNA, f"Bert <{BERT}>"), subject="Störung: {event} ⚡", text="Grüße\n.\n{event}")
    async with mail_server(box) as port:
        said = await post(shop, port, receivers=("else@example.org",)).perform(action, happened(ups))
    assert said == f"Sent to {ANNA}, {BERT}."
    assert box.envelopes[0].rcpt_tos == [ANNA, BERT]
    assert box.message()["Subject"] == "Störung: on_battery ⚡"
    assert box.message()["To"] == f"{ANNA}, Bert <{BERT}>"
    assert box.text().splitlines() == ["Grüße", ".", "on_battery"]
    assert box.raw().isascii()


@pytest.mark.parametrize(
    ("marks", "subject"),
    [
        pytest.param({"test": True}, "Test: Hello", id="test"),
        pytest.param({"drill": True}, "Drill: Hello", id="drill"),
        pytest.param({"retry": True}, "(repeated, it may have been sent before) Hello", id="repeated"),
        pytest.param({"late": 61.0}, "(1 min late, the bridge was not running) Hello", id="late"),
        pytest.param({"late": 7100.0}, "(118 min late, the bridge was not running) Hello", id="late_by_minutes"),
        pytest.param({"late": 90_000.0}, "(25 h late, the bridge was not running) Hello", id="late_by_hours"),
        pytest.param({"late": 300_000.0}, "(3 days late, the bridge was not running) Hello", id="late_by_days"),
        pytest.param(
            {"late": 600.0, "retry": True},
            "(10 min late, the bridge was not running) (repeated, it may have been sent before) Hello",
            id="late_and_repeated",
        ),
    ],
)
async def test_marks_stand_in_subject_and_text(shop: Shop, box: Mailbox, marks: dict[str, Any], subject: str) -> None:
    async with mail_server(box) as port:
        await post(shop, port).perform(MailAction(subject="Hello", text="Hello"), Occasion("job:x", **marks))
    assert box.message()["Subject"] == subject
    assert box.text().strip() == subject


async def test_nothing_in_a_text_becomes_a_header(shop: Shop, ups: Device, box: Mailbox) -> None:
    shop.world.rename(ups, "X\r\nBcc: victim@example.org\r\n\r\nHello")
    subject = "A\r\nBcc: victim@example.org\u2028\x00" + "ü" * 400
    async with mail_server(box) as port:
        jobs = post(shop, port)
        await jobs.perform(MailAction(subject=subject, text="B"), happened(ups))
        assert box.message()["Bcc"] is None
        assert str(box.message()["Subject"]).startswith("A Bcc: victim@example.org üü")
        assert len(str(box.message()["Subject"])) == 200
        assert max(map(len, box.raw().splitlines())) <= 998
        await jobs.perform(MailAction(), happened(ups))
        assert box.message()["Bcc"] is None
        await jobs.perform(MailAction(trap=True), happened(ups))
    assert box.message()["Bcc"] is None
    assert "device-name: X Bcc: victim@example.org Hello\n" in box.text()


@pytest.mark.parametrize(
    "address",
    [
        "anna@example.org\r\nRCPT TO:<victim@example.org>",
        "anna@example.org, bert@example.org",
        "<anna@example.org> SIZE=1",
        "anna",
        "@example.org",
        "anna@",
        "",
        "an na@example.org",
        "anna@exa\x00mple.org",
        "anna@" + "ü" * 80 + ".example",
    ],
    ids=["newline", "two", "parameter", "no-domain", "no-user", "empty-domain", "empty", "space", "nul", "no-dns-name"],
)
async def test_what_is_no_address_is_refused_before_anything_is_sent(shop: Shop, box: Mailbox, address: str) -> None:
    async with mail_server(box) as port:
        error = await refused(post(shop, port).perform(MailAction(to=(ANNA, address)), Occasion("job:x")))
    assert "is no mail address" in str(error)
    assert not error.again
    assert box.greeted == []


async def test_addresses_beyond_ascii(shop: Shop, box: Mailbox) -> None:
    action = MailAction(to=("anna@bücher.example",))
    async with mail_server(box) as port:
        await post(shop, port).perform(action, Occasion("job:x"))
        assert box.envelopes[0].rcpt_tos == ["anna@xn--bcher-kva.example"]
        error = await refused(post(shop, port).perform(MailAction(to=("änne@example.org",)), Occasion("job:x")))
        assert "does not take addresses with letters beyond ASCII" in str(error)
    async with mail_server(box, enable_SMTPUTF8=True) as port:
        await post(shop, port).perform(MailAction(to=("änne@example.org",)), Occasion("job:x"))
    assert box.envelopes[-1].rcpt_tos == ["änne@example.org"]
    assert box.read()["To"] == "änne@example.org"


async def test_mail_trap_is_always_worded_alike(shop: Shop, ups: Device, box: Mailbox) -> None:
    shop.world.post(ups, {"battery.charge": 87.0, "output.voltage": None})
    async with mail_server(box) as port:
        jobs = post(shop, port)
        await jobs.perform(MailAction(trap=True, subject="not used", text="not used"), happened(ups, retry=True))
        first, first_text = box.message(), box.text()
        await jobs.perform(MailAction(trap=True), Occasion("schedule:weekly", test=True))
    assert first["Subject"] == "Ridethrough trap: on_battery raised"
    lines = dict(line.split(": ", 1) for line in first_text.splitlines())
    other = dict(line.split(": ", 1) for line in box.text().splitlines())
    assert list(lines) == list(other)
    assert (
        lines
        | {
            "trap": "1",
            "bridge": "Test bridge",
            "bridge-id": shop.context.bridge.id,
            "origin": "job:notify",
            "repeated": "yes",
            "late": "0",
            "sequence": "17",
            "time": "2026-01-02T03:04:05+00:00",
            "event": "on_battery",
            "edge": "raised",
            "severity": "alarm",
            "device": "ups-1",
            "model": "UPS 3000",
            "text": "ups-1: On battery: begun",
            "battery.runtime": "1800 s",
            "output.voltage": "n/a",
        }
        == lines
    )
    assert (other["test"], other["event"], other["battery.charge"]) == ("yes", "n/a", "n/a")
    assert box.message()["Subject"] == "Ridethrough trap: schedule:weekly"


async def test_attachments_go_with_it(shop: Shop, box: Mailbox) -> None:
    async with mail_server(box) as port:
        await post(shop, port).perform(MailAction(attach=("events", "data")), Occasion("job:x"))
    (attached,) = box.message().iter_attachments()
    assert (attached.get_filename(), attached.get_content_type()) == ("events.csv", "text/csv")
    assert attached.get_payload(decode=True) == shop.drawer.events
    body = box.message().get_body()
    assert body is not None
    assert "(The attachment data could not be made: the disk is gone)" in body.as_string()


async def test_attachment_that_takes_too_long_does_not_keep_the_mail_back(shop: Shop, box: Mailbox) -> None:
    shop.drawer.stuck = True
    async with mail_server(box) as port:
        await post(shop, port).perform(MailAction(attach=("events",)), Occasion("job:x"))
        shop.context = replace(shop.context, attachments=None)
        await post(shop, port).perform(MailAction(attach=("events",)), Occasion("job:x"))
    for envelope in box.envelopes:
        assert isinstance(envelope.content, bytes)
        assert b"The attachment events could not be made" in envelope.content


async def test_long_attachment_is_packed(shop: Shop, box: Mailbox) -> None:
    shop.drawer.events = b"seq,event\r\n" + b"1,On battery: begun\r\n" * 50_000
    async with mail_server(box) as port:
        await post(shop, port).perform(MailAction(attach=("events",)), Occasion("job:x"))
    (attached,) = box.message().iter_attachments()
    assert (attached.get_filename(), attached.get_content_type()) == ("events.csv.zip", "application/zip")
    packed = attached.get_payload(decode=True)
    assert isinstance(packed, bytes)
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.read("events.csv") == shop.drawer.events


async def test_alarm_goes_without_attachments_that_are_too_large(shop: Shop, box: Mailbox) -> None:
    shop.drawer.events = b"x" * 100_000
    async with mail_server(box, data_size_limit=50_000) as port:
        jobs = post(shop, port)
        said = await jobs.perform(MailAction(attach=("events",)), Occasion("job:x"))
        assert "(Without attachments: 127.0.0.1:" in said
        assert list(box.message().iter_attachments()) == []
        assert "(Without attachments: " in box.text()
        error = await refused(jobs.perform(MailAction(text="y" * 60_000), Occasion("job:x")))
    assert "takes mails of 50000 octets, and this one has" in str(error)
    assert not error.again
    async with mail_server(box, data_size_limit=None) as port:
        box.answer = "552 5.3.4 Message too big"
        error = await refused(post(shop, port).perform(MailAction(attach=("events",)), Occasion("job:x")))
    assert "does not take a mail of" in str(error)


# By which wire


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_mail_is_encrypted_and_the_login_with_it(
    shop: Shop, box: Mailbox, authority: Authority, security: str
) -> None:
    context = server_context(authority, "127.0.0.1")
    options: dict[str, Any] = {security: context, "authenticator": box.authenticate, "auth_required": True}
    async with mail_server(box, **options) as port:
        login = {"username": "ups", "password": "geheïm"}
        jobs = post(shop, port, security=security, ca=authority.ca, **login)
        await jobs.perform(MailAction(), Occasion("job:x"))
        await jobs.perform(MailAction(), Occasion("job:x"))
    assert box.secure == [True, True]
    assert box.logins == [b"ups", b"ups"]


async def test_login_over_a_wire_in_the_clear_where_the_configuration_wants_that(shop: Shop, box: Mailbox) -> None:
    async with mail_server(box, authenticator=box.authenticate, auth_required=True) as port:
        await post(shop, port, username="ups", password="geheïm").perform(MailAction(), Occasion("job:x"))
    assert box.secure == [False]


async def test_server_without_starttls_gets_neither_mail_nor_password(shop: Shop, box: Mailbox) -> None:
    async with mail_server(box, authenticator=box.authenticate) as port:
        jobs = post(shop, port, security="starttls", username="ups", password="geheïm")
        error = await refused(jobs.perform(MailAction(), Occasion("job:x")))
    assert f"127.0.0.1:{port} does not offer STARTTLS" in str(error)
    assert not error.again
    assert (box.envelopes, box.logins) == ([], [])


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize(
    ("names", "ca", "said"),
    [
        pytest.param(("127.0.0.1",), False, "unable to get local issuer certificate", id="stranger"),
        pytest.param(("192.0.2.1",), True, "IP address mismatch", id="other-name"),
    ],
)
async def test_server_that_is_not_trusted_gets_nothing(
    shop: Shop, box: Mailbox, authority: Authority, security: str, names: tuple[str], ca: bool, said: str
) -> None:
    options: dict[str, Any] = {security: server_context(authority, *names)}
    async with mail_server(box, **options) as port:
        jobs = post(shop, port, security=security, ca=authority.ca if ca else None, username="ups", password="x")
        error = await refused(jobs.perform(MailAction(), Occasion("job:x")))
    assert f"The certificate of the mail server 127.0.0.1:{port} is not trusted" in str(error)
    assert said in str(error)
    assert not error.again
    assert box.envelopes == []


async def test_own_certificate_of_a_server_may_be_trusted(shop: Shop, box: Mailbox, authority: Authority) -> None:
    context = server_context(authority, "127.0.0.1", own=True)
    certificate = authority.ca.with_name("mail127.0.0.1-certificate.pem")
    async with mail_server(box, tls=context) as port:
        await post(shop, port, security="tls", ca=certificate).perform(MailAction(), Occasion("job:x"))
    assert box.secure == [True]


async def test_certificates_that_were_mended_are_read_again(shop: Shop, box: Mailbox, authority: Authority) -> None:
    file = authority.ca.with_name("trusted.pem")
    async with mail_server(box, tls=server_context(authority, "127.0.0.1")) as port:
        jobs = post(shop, port, security="tls", ca=file)
        assert "cannot be read" in str(await refused(jobs.perform(MailAction(), Occasion("job:x"))))
        file.write_text("nothing")
        assert "holds no certificates" in str(await refused(jobs.perform(MailAction(), Occasion("job:x"))))
        file.write_bytes(Authority(authority.ca.parent, "other").ca.read_bytes())
        assert "is not trusted" in str(await refused(jobs.perform(MailAction(), Occasion("job:x"))))
        file.write_bytes(authority.ca.read_bytes())
        await jobs.perform(MailAction(), Occasion("job:x"))
    assert len(box.envelopes) == 1


# What is said when it does not arrive


async def test_receivers_that_are_refused_are_named(shop: Shop, box: Mailbox) -> None:
    box.refused = {BERT: "550 5.1.1 No such user"}
    async with mail_server(box) as port:
        jobs = post(shop, port, receivers=(ANNA, BERT))
        said = await jobs.perform(MailAction(), Occasion("job:x"))
        assert said == f"Sent to {ANNA}. Refused for {BERT} (550 5.1.1 No such user)."
        assert not failed(shop)
        box.refused[ANNA] = "450 4.2.0 Greylisted"
        error = await refused(jobs.perform(MailAction(), Occasion("job:x")))
        assert f"{ANNA} (450 4.2.0 Greylisted), {BERT} (550 5.1.1 No such user)" in str(error)
        assert not error.again
        box.refused[BERT] = "450 4.2.0 Greylisted"
        assert (await refused(jobs.perform(MailAction(), Occasion("job:x")))).again
    assert [event.details["text"] for event in await shop.journal("mail_failed") if event.edge == "occurred"][0] == said


@pytest.mark.parametrize(
    ("answers", "said", "again"),
    [
        pytest.param({"answer": "554 5.7.1 Looks like spam"}, "refuses the mail (554 5.7.1 Looks", False, id="mail"),
        pytest.param({"answer": "451 4.3.0 Try later"}, "refuses the mail (451 4.3.0 Try later)", True, id="later"),
        pytest.param({"sender_answer": "553 Not yours"}, "refuses the sender ups@example.org (553", False, id="sender"),
        pytest.param({"sender_answer": "452 Full"}, "refuses the sender ups@example.org (452", True, id="full"),
        pytest.param({"sender_answer": "552 Big"}, "refuses the sender ups@example.org (552", False, id="size"),
        pytest.param({"answer": "421 Going down"}, "refuses the mail (421 Going down)", True, id="going-down"),
    ],
)
async def test_refusals_are_told_in_the_servers_words(
    shop: Shop, box: Mailbox, answers: dict[str, str], said: str, again: bool
) -> None:
    for name, answer in answers.items():
        setattr(box, name, answer)
    async with mail_server(box) as port:
        error = await refused(post(shop, port).perform(MailAction(), Occasion("job:x")))
    assert said in str(error)
    assert error.again is again


@pytest.mark.parametrize(
    ("answer", "said", "again"),
    [
        pytest.param(None, "refuses the login (535", False, id="wrong"),
        pytest.param("454 4.7.0 Temporary failure", "refuses the login (454", True, id="temporary"),
    ],
)
async def test_login_that_is_refused(shop: Shop, box: Mailbox, answer: str | None, said: str, again: bool) -> None:
    box.login_answer = answer
    async with mail_server(box, authenticator=box.authenticate, auth_required=True) as port:
        jobs = post(shop, port, username="ups", password="wrong")
        error = await refused(jobs.perform(MailAction(), Occasion("job:x")))
    assert said in str(error)
    assert "wrong" not in str(error)
    assert error.again is again


async def test_server_without_logins(shop: Shop, box: Mailbox) -> None:
    async with mail_server(box, auth_exclude_mechanism=["LOGIN", "PLAIN"]) as port:
        error = await refused(post(shop, port, username="ups").perform(MailAction(), Occasion("job:x")))
    assert "offers no login that the bridge knows" in str(error)


async def test_server_that_is_not_there(shop: Shop) -> None:
    error = await refused(post(shop, free_port()).perform(MailAction(), Occasion("job:x")))
    assert "refuses the connection; are address and port right" in str(error)
    assert error.again
    error = await refused(post(shop, 25, host="no-such-host.invalid").perform(MailAction(), Occasion("job:x")))
    assert "The name of the mail server no-such-host.invalid:25 is not known" in str(error)
    assert error.again


def saying(*lines: bytes, then: Talk = hang) -> Talk:
    """Say something at once, then do something else."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"".join(lines))
        await writer.drain()
        await then(reader, writer)

    return talk


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer without end."""
    while True:
        writer.write(b"220-more\r\n" * 1000)
        await writer.drain()


async def dribble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer so slowly that each byte is a sign of life."""
    while True:
        writer.write(b"2")
        await writer.drain()
        await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("talk", "security", "said"),
    [
        pytest.param(hang, "none", "did not answer in time", id="hangs"),
        pytest.param(hang, "tls", "did not answer in time", id="hangs-in-tls"),
        pytest.param(drop, "none", "has ended the connection", id="drops"),
        pytest.param(dribble, "none", "did not answer in time", id="dribbles"),
        pytest.param(saying(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "none", "does not speak SMTP", id="garbage"),
        pytest.param(saying(b"220 mail\r\n"), "tls", "No TLS could be agreed on", id="no-tls"),
        pytest.param(saying(b"\x00\xff\xfe\r\n"), "none", "does not speak SMTP", id="binary"),
        pytest.param(endless, "none", "does not speak SMTP (Response too long)", id="endless"),
        pytest.param(saying(b"220 mail\r\n", then=drop), "none", "has ended the connection", id="drops-later"),
        pytest.param(saying(b"554 No service for you\r\n"), "none", "554 No service for you", id="no-service"),
        pytest.param(saying(b"421 Too many\r\n"), "none", "421 Too many", id="too-many"),
        pytest.param(saying(b"220 mail\r\n", b"250 x\r\n"), "none", "did not answer in time", id="talks-ahead"),
    ],
)
async def test_servers_that_misbehave(shop: Shop, talk: Talk, security: str, said: str) -> None:
    shop.context = replace(shop.context, limits=replace(LIMITS, answer=0.3, mail=1.0))
    async with tcp_peer(talk) as port, asyncio.timeout(4):
        error = await refused(post(shop, port, security=security).perform(MailAction(), Occasion("job:x")))
    assert said in str(error)
    assert failed(shop)


async def test_without_a_server_or_receivers_it_is_said(shop: Shop, box: Mailbox) -> None:
    assert "There is no mail server" in str(await refused(shop.configure().perform(MailAction(), Occasion("job:x"))))
    async with mail_server(box) as port:
        error = await refused(post(shop, port, receivers=()).perform(MailAction(), Occasion("job:x")))
    assert "The mail has no receivers" in str(error)


# What the bridge says of itself


async def test_condition_and_one_log_line_each_way(shop: Shop, box: Mailbox, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "ridethrough.jobs")
    async with mail_server(box) as port:
        jobs = post(shop, port)
        assert not failed(shop)
        box.answer = "451 Later"
        for _ in range(3):
            await refused(jobs.perform(MailAction(), Occasion("job:x")))
            assert failed(shop)
        box.answer = "250 OK"
        await jobs.perform(MailAction(), Occasion("job:x"))
        await jobs.perform(MailAction(), Occasion("job:x"))
        assert not failed(shop)
    said = [record.getMessage() for record in caplog.records if record.name.startswith("ridethrough.jobs")]
    assert [line.split(":")[0] for line in said] == ["A mail could not be sent", "Mails are sent again"]


async def test_failure_ends_with_the_mail_server_in_the_configuration(shop: Shop) -> None:
    await refused(post(shop, free_port()).perform(MailAction(), Occasion("job:x")))
    assert failed(shop)
    shop.configure(mail=None)
    assert not failed(shop)


async def test_failure_before_a_restart_stands_until_a_mail_is_sent(shop: Shop, box: Mailbox) -> None:
    shop.world.site.restore(shop.context.bridge.id, "mail_failed", shop.context.clock.utc())
    async with mail_server(box) as port:
        jobs = post(shop, port)
        assert failed(shop)
        await jobs.perform(MailAction(), Occasion("job:x"))
    assert not failed(shop)


@pytest.mark.parametrize(
    ("log", "sent", "failures"),
    [
        pytest.param("errors", 0, 1, id="errors"),
        pytest.param("always", 1, 1, id="always"),
        pytest.param("never", 0, 0, id="never"),
    ],
)
async def test_event_log_says_of_mails_what_the_configuration_wants(
    shop: Shop, box: Mailbox, log: str, sent: int, failures: int
) -> None:
    async with mail_server(box) as port:
        jobs = post(shop, port, log=log)
        await jobs.perform(MailAction(), Occasion("job:x"))
        box.answer = "554 No"
        await refused(jobs.perform(MailAction(), Occasion("job:x")))
    assert len(await shop.journal("mail_sent")) == sent
    assert len([event for event in await shop.journal("mail_failed") if event.kind == "system"]) == failures


async def test_mail_that_is_no_longer_wanted_is_given_up(shop: Shop) -> None:
    async with tcp_peer(hang) as port:
        sending = asyncio.create_task(post(shop, port).perform(MailAction(), Occasion("job:x")))
        await asyncio.sleep(0.05)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(sending, 1)
