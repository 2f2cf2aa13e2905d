"""Text messages: characters and parts by the standard, and a modem on a line that misbehaves in all the known ways."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given, settings, strategies as st
import pytest

from ridethrough.config.actions import SmsAction
from ridethrough.config.jobs import SmsConfig
from ridethrough.events.steps import Occasion
from ridethrough.jobs import Jobs
from ridethrough.jobs.gsm_text import BASIC, EXTENDED, number_of, pdus
from ridethrough.site import Device

from .gsm import FakeModem, read
from .rig import LIMITS, Shop, happened, refused

ANNA, BERT = "+4915123456789", "015198765432"
HELLO = SmsAction(text="Hello")


@pytest.fixture
async def modem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeModem]:
    """Plug a modem in whose network comes quickly."""
    monkeypatch.setattr("ridethrough.jobs.modem.LOOK", 0.02)
    made = FakeModem(tmp_path)
    yield made
    made.close()


def jobs_for(shop: Shop, modem: FakeModem, **more: Any) -> Jobs:
    """Configure the modem."""
    config = {"receivers": (ANNA,)} | more
    return shop.configure(sms=SmsConfig(str(modem.path), **config))


# Characters and parts


def test_message_is_the_one_that_everybody_knows() -> None:
    # The packing of "hellohello" and the address 46708251358 are examples in many a description of the PDU.
    (pdu,) = pdus("+46708251358", "hellohello", 0)
    assert pdu.text == "000100" + "0B916407281553F8" + "0000" + "0A" + "E8329BFD4697D9EC37"
    assert pdu.length == len(pdu.text) // 2 - 1


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        pytest.param("x" * 160, 1, id="160-characters"),
        pytest.param("x" * 161, 2, id="161-characters"),
        pytest.param("x" * 306, 2, id="two-full-parts"),
        pytest.param("x" * 307, 3, id="307-characters"),
        pytest.param("€" * 80, 1, id="80-of-two-septets"),
        pytest.param("€" * 81, 2, id="81-of-two-septets"),
        pytest.param("x" * 152 + "€" + "y" * 20, 2, id="never-cut-within-a-character"),
        pytest.param("Ж" * 70, 1, id="70-cyrillic"),
        pytest.param("Ж" * 71, 2, id="71-cyrillic"),
        pytest.param("Ж" * 66 + "🔋" + "Ж" * 20, 2, id="never-cut-within-a-surrogate-pair"),
        pytest.param("", 1, id="empty"),
    ],
)
def test_long_texts_are_sent_in_parts(text: str, parts: int) -> None:
    made = [read(pdu.text) for pdu in pdus(ANNA, text, 300)]
    assert len(made) == parts
    assert "".join(part for _, part, _ in made) == text
    headers = [header for _, _, header in made]
    assert headers == ([b""] if parts == 1 else [bytes((5, 0, 3, 44, parts, index + 1)) for index in range(parts)])


def test_what_is_too_long_loses_its_end() -> None:
    made = [read(pdu.text)[1] for pdu in pdus(ANNA, "x" * 5000, 1)]
    assert [len(part) for part in made] == [153] * 4


@given(st.text(max_size=300) | st.text(BASIC.replace("\x1b", "") + "".join(EXTENDED), max_size=300))
@settings(max_examples=200, deadline=None)
def test_every_text_is_read_as_it_was_written(text: str) -> None:
    made = [read(pdu.text) for pdu in pdus(BERT, text, 7)]
    whole = "".join(part for _, part, _ in made)
    assert text.encode("utf-16-be", "replace").decode("utf-16-be").startswith(whole)
    assert len(made) == 4 or len(whole) == len(text)
    assert {number for number, _, _ in made} == {BERT}


@pytest.mark.parametrize(
    ("text", "number"),
    [("+49 151 23456789", ANNA), ("0151-98765432", BERT), ("(0151) 98765.432", BERT), ("112", "112")],
    ids=["spaces", "dash", "brackets", "short"],
)
def test_numbers_are_read_however_they_are_written(text: str, number: str) -> None:
    assert number_of(text) == number


@pytest.mark.parametrize(
    "text",
    ["", "11", "+", "anna", '112"\rATD0900', "1" * 21, "٠١٢٣", "+49+151"],
    ids=["empty", "short", "plus", "name", "command", "long", "other-digits", "two-plus"],
)
async def test_what_is_no_number_never_reaches_the_modem(shop: Shop, modem: FakeModem, text: str) -> None:
    error = await refused(jobs_for(shop, modem).perform(replace(HELLO, to=(ANNA, text)), Occasion("job:x")))
    assert "is no telephone number" in str(error)
    assert modem.commands == []


# The modem


async def test_message_goes_to_each_receiver(shop: Shop, ups: Device, modem: FakeModem) -> None:
    said = await jobs_for(shop, modem, receivers=(ANNA, BERT)).perform(SmsAction(), happened(ups, test=True))
    assert said == f"Sent to {ANNA}, {BERT}."
    text = "Test: ups-1: On battery: begun"
    assert [read(pdu)[:2] for pdu in modem.sent] == [(ANNA, text), (BERT, text)]
    assert modem.lengths == [len(pdu) // 2 - 1 for pdu in modem.sent]
    assert modem.commands[-5:] == ["AT+CPIN?", "AT+CREG?", "AT+CMGF=0", *modem.commands[-2:]]


async def test_parts_of_a_long_text_belong_together(shop: Shop, modem: FakeModem) -> None:
    jobs = jobs_for(shop, modem)
    await jobs.perform(SmsAction(text="ÄÖÜ€ " * 60), Occasion("job:x"))
    await jobs.perform(SmsAction(text="Ж" * 100), Occasion("job:x"))
    headers = [read(pdu)[2] for pdu in modem.sent]
    assert [header[3] for header in headers] == [1, 1, 1, 2, 2]


async def test_pin_is_given_once(shop: Shop, modem: FakeModem) -> None:
    modem.pin = "1234"
    jobs = jobs_for(shop, modem, pin="1234")
    await jobs.perform(HELLO, Occasion("job:x"))
    await jobs.perform(HELLO, Occasion("job:x"))
    assert modem.tries == ["1234"]
    assert len(modem.sent) == 2


async def test_wrong_pin_is_never_tried_twice(shop: Shop, modem: FakeModem) -> None:
    modem.pin = "1234"
    jobs = jobs_for(shop, modem, pin="4321")
    error = await refused(jobs.perform(HELLO, Occasion("job:x")))
    assert "the PIN is wrong (+CME ERROR: 16)" in str(error)
    for _ in range(3):
        error = await refused(jobs.perform(HELLO, Occasion("job:x")))
        assert "it is not tried again" in str(error)
        assert not error.again
    assert modem.tries == ["4321"]


@pytest.mark.parametrize(
    ("pin", "sim", "said"),
    [
        pytest.param(None, None, "wants its PIN: give pin:", id="no-pin"),
        pytest.param('1"\rATD112', None, "A PIN has four to eight digits", id="no-digits"),
        pytest.param(None, "SIM PUK", "wants SIM PUK", id="puk"),
        pytest.param(None, "", "wants something unknown", id="unknown"),
    ],
)
async def test_sim_that_cannot_be_unlocked(
    shop: Shop, modem: FakeModem, pin: str | None, sim: str | None, said: str
) -> None:
    modem.pin = "1234" if sim is None else None
    modem.sim = sim or ""
    error = await refused(jobs_for(shop, modem, pin=pin).perform(HELLO, Occasion("job:x")))
    assert said in str(error)
    assert (modem.tries, modem.sent) == ([], [])


async def test_network_is_waited_for(shop: Shop, modem: FakeModem) -> None:
    modem.registration = ["0", "2", "2", "5"]
    await jobs_for(shop, modem).perform(HELLO, Occasion("job:x"))
    assert modem.commands.count("AT+CREG?") == 4
    modem.registration = ["2"]
    shop.context = replace(shop.context, limits=replace(LIMITS, network=0.1))
    error = await refused(jobs_for(shop, modem).perform(HELLO, Occasion("job:x")))
    assert "it has no network" in str(error)
    assert error.again
    modem.registration = ["3"]
    assert "the network refuses this SIM" in str(await refused(jobs_for(shop, modem).perform(HELLO, Occasion("job:x"))))


@pytest.mark.parametrize(
    ("answer", "said", "again"),
    [
        pytest.param("+CMS ERROR: 38", "the network is out of order (+CMS ERROR: 38)", True, id="network"),
        pytest.param("+CMS ERROR: 28", "the network does not know this SIM (+CMS ERROR: 28)", False, id="sim"),
        pytest.param("+CMS ERROR: 330", "does not know the number of its service centre", False, id="centre"),
        pytest.param("+CMS ERROR: 512", "a reason that is not known here (+CMS ERROR: 512)", False, id="maker"),
        pytest.param("+CMS ERROR: no credit", "it says no credit", False, id="words"),
        pytest.param("+CME ERROR: 30", "it has no network (+CME ERROR: 30)", True, id="equipment"),
        pytest.param("ERROR", "it refuses without a reason", False, id="no-reason"),
        pytest.param("OK", "does not say that the message was sent", False, id="ok-alone"),
    ],
)
async def test_errors_are_told_in_words(shop: Shop, modem: FakeModem, answer: str, said: str, again: bool) -> None:
    modem.refusals = [answer]
    error = await refused(jobs_for(shop, modem).perform(HELLO, Occasion("job:x")))
    assert said in str(error)
    assert str(error).startswith(f"{ANNA}: The modem on {modem.path} ")
    assert error.again is again


async def test_one_receiver_in_error_does_not_keep_the_others_from_theirs(shop: Shop, modem: FakeModem) -> None:
    modem.refusals = ["+CMS ERROR: 1"]
    said = await jobs_for(shop, modem, receivers=(ANNA, BERT)).perform(HELLO, Occasion("job:x"))
    assert said.startswith(f"Sent to {BERT}. {ANNA}: The modem on")
    assert "the number is not assigned" in said


async def test_calls_and_arriving_messages_do_not_disturb(shop: Shop, modem: FakeModem) -> None:
    modem.noise = b'\r\nRING\r\n\r\n+CMTI: "SM",3\r\n' + b"\xff\x00garbage\r\n" * 50
    await jobs_for(shop, modem).perform(HELLO, Occasion("job:x"))
    assert len(modem.sent) == 1


async def test_modem_that_was_left_in_a_prompt(shop: Shop, modem: FakeModem) -> None:
    modem.silent_at = "AT+CMGF=0"
    jobs = jobs_for(shop, modem)
    await refused(jobs.perform(HELLO, Occasion("job:x")))
    modem.silent_at = ""
    modem._prompted = True
    await jobs.perform(HELLO, Occasion("job:x"))
    assert len(modem.sent) == 1


async def test_modem_that_says_nothing(shop: Shop, modem: FakeModem) -> None:
    modem.deaf = True
    error = await refused(jobs_for(shop, modem).perform(HELLO, Occasion("job:x")))
    assert str(error) == f"The modem on {modem.path} does not answer."
    assert error.again


async def test_modem_that_falls_silent_after_the_message_may_have_sent_it(shop: Shop, modem: FakeModem) -> None:
    modem.after_message = lambda: None
    error = await refused(jobs_for(shop, modem).perform(HELLO, Occasion("job:x")))
    assert "does not answer. The message may have been sent." in str(error)
    assert not error.again


async def test_modem_that_is_unplugged(shop: Shop, modem: FakeModem) -> None:
    modem.after_message = modem.close
    jobs = jobs_for(shop, modem)
    error = await refused(jobs.perform(HELLO, Occasion("job:x")))
    assert "has gone. The message may have been sent." in str(error)
    error = await refused(jobs.perform(HELLO, Occasion("job:x")))
    assert f"There is no port {modem.path}" in str(error)
    assert error.again


async def test_modem_that_talks_without_end_costs_no_memory(shop: Shop, modem: FakeModem) -> None:
    modem.answers = {"AT+CREG?": b"x" * 300_000}
    error = await refused(jobs_for(shop, modem).perform(HELLO, Occasion("job:x")))
    assert "does not answer" in str(error) or "no network" in str(error)


async def test_sending_that_takes_too_long_is_given_up(shop: Shop, modem: FakeModem) -> None:
    shop.context = replace(shop.context, limits=replace(LIMITS, sms=0.3, network=30.0, modem=30.0))
    modem.registration = ["2"]
    error = await refused(jobs_for(shop, modem).perform(HELLO, Occasion("job:x")))
    assert "took too long" in str(error)
    modem.registration = ["1"]
    modem.silent_at = "AT+CMGS=19"
    said = await jobs_for(shop, modem, receivers=("112", ANNA)).perform(HELLO, Occasion("job:x"))
    assert said == f"Sent to 112. {ANNA}: there was no time left."


async def test_messages_wait_for_one_another(shop: Shop, modem: FakeModem) -> None:
    jobs = jobs_for(shop, modem)
    actions = [SmsAction(text=f"Number {number}") for number in range(5)]
    await asyncio.gather(*(jobs.perform(action, Occasion("job:x")) for action in actions))
    assert [read(pdu)[1] for pdu in modem.sent] == [action.text for action in actions]


async def test_without_modem_or_receivers_it_is_said(shop: Shop, modem: FakeModem) -> None:
    assert "There is no modem" in str(await refused(shop.configure().perform(HELLO, Occasion("job:x"))))
    error = await refused(jobs_for(shop, modem, receivers=()).perform(HELLO, Occasion("job:x")))
    assert "has no receivers" in str(error)
