"""Servers that say almost the right thing: every answer ends in an error in words, soon, and in nothing unforeseen."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
import random

import pytest

from ridethrough.config.actions import Action, MailAction, RemoteAction, WebhookAction
from ridethrough.config.jobs import MailConfig, RemoteConfig, WebhookConfig
from ridethrough.events.steps import ActionError, Occasion

from .rig import LIMITS, Shop, Talk, tcp_peer

ROUNDS = 60
SMTP = (
    b"220 mail.example ESMTP\r\n",
    b"250-mail.example\r\n250-SIZE 1000000\r\n250-AUTH CRAM-MD5 PLAIN LOGIN\r\n250 SMTPUTF8\r\n",
    b"334 PDQxOTI5NDIzNDEuMTI4Mjg0NzJAc291cmNlZm91ci5hbmRyZXcuY211LmVkdT4=\r\n",
    b"235 2.7.0 Good\r\n",
    b"250 OK\r\n",
    b"250 OK\r\n",
    b"354 Go on\r\n",
    b"250 Taken\r\n",
    b"221 Bye\r\n",
)
HTTP = (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK",)
SOCKET = (
    (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    ),
)
NASTY = (
    b"\x00",
    b"\xff\xfe",
    b"\r",
    b"\n",
    b"\r\n.\r\n",
    b"-",
    b" ",
    b"999999999999",
    b"%s{0}",
    b"\x1b[2J",
    b"",
    b"\r\n" * 50,
)


def mutated(chance: random.Random, answer: bytes) -> bytes:
    """Change an answer here and there, or leave it."""
    said = bytearray(answer)
    for _ in range(chance.choice((0, 0, 1, 1, 2, 8))):
        place = chance.randrange(len(said) + 1)
        match chance.randrange(4):
            case 0:
                said[place:place] = chance.choice(NASTY)
            case 1:
                del said[place : place + chance.randrange(1, 20)]
            case 2 if place < len(said):
                said[place] = chance.randrange(256)
            case _:
                said[place:place] = said[: chance.randrange(1, 200)]
    return bytes(said)


def almost(chance: random.Random, answers: Sequence[bytes]) -> Talk:
    """Give these answers, one to each thing that is said, but not quite."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for index, answer in enumerate(answers):
            if (index or answers is not SMTP) and not await reader.read(65536):
                return
            writer.write(mutated(chance, answer))
            await writer.drain()
            if chance.random() < 0.05:
                return
        while await reader.read(65536):
            pass

    return talk


@pytest.mark.parametrize(
    ("action", "answers"),
    [
        pytest.param(MailAction(), SMTP, id="mail"),
        pytest.param(WebhookAction(webhook="panel"), HTTP, id="webhook"),
        pytest.param(RemoteAction(bridge="cellar", device="ups-1", command="load.off"), SOCKET, id="remote"),
    ],
)
async def test_almost_right_answers(
    shop: Shop, action: Action, answers: Sequence[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    chance = random.Random(5)
    shop.context = replace(shop.context, limits=replace(LIMITS, answer=0.1, mail=0.4, webhook=0.2, remote=0.2))
    said: list[str] = []
    for _ in range(ROUNDS):
        async with tcp_peer(almost(chance, answers)) as port:
            jobs = shop.configure(
                mail=MailConfig(
                    "127.0.0.1",
                    "ups@example.org",
                    port,
                    "none",
                    username="ups",
                    password="s3cret",
                    receivers=("anna@example.org", "bert@example.org"),
                ),
                webhooks=(WebhookConfig("panel", f"http://127.0.0.1:{port}/"),),
                bridges=(RemoteConfig("cellar", f"http://127.0.0.1:{port}", "s3cret"),),
            )
            async with asyncio.timeout(3):
                try:
                    said.append(await jobs.perform(action, Occasion("job:x")))
                except ActionError as error:
                    said.append(str(error))
    assert len(said) == ROUNDS
    assert "nobody foresaw" not in caplog.text
    assert all(0 < len(one) < 700 and one.isprintable() and "s3cret" not in one for one in said), said
    assert len(set(said)) > 2
