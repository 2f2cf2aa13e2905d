"""SNMPv3 byte by byte: discovery, reports, the time window, and what is not even answered (RFC 3412, RFC 3414)."""

from dataclasses import dataclass, replace

import pytest

from ridethrough.feeds.snmp import counters
from ridethrough.feeds.snmp.ber import Reader, Tag, element, integer, name, octets
from ridethrough.feeds.snmp.engine_identity import load_identity
from ridethrough.feeds.snmp.keys import Authentication, authentication
from ridethrough.feeds.snmp.pdu import Kind
from tests.bridge.feeds.rig import World

from .agents import PASSWORD, TABLE as WIDE, UPS, Agent, config, fill, oid, serving, user, wide_table

SIGNER = user("sha")
HIDER = user("md5", "des")
NOBODY = user()
EVERYBODY = config(users=(NOBODY, SIGNER, HIDER))


@dataclass(frozen=True)
class V3:
    """A message as it may be, and as it may not."""

    engine: bytes
    boots: int = 1
    time: int = 0
    user: bytes = NOBODY.name.encode()
    flags: bytes = b"\4"
    model: int = 3
    largest: int = 65507
    salt: bytes = b""
    context_engine: bytes | None = None
    context: bytes = b""
    kind: int = Kind.GET
    numbers: tuple[int, int] = (0, 0)
    root: str = f"{UPS}.2.4.0"
    scoped: bytes | None = None
    signed: Authentication | None = None

    def encode(self) -> bytes:
        """Make the bytes."""
        variable = element(Tag.SEQUENCE, name(oid(self.root)) + element(Tag.NULL, b""))
        numbers = integer(7) + integer(self.numbers[0]) + integer(self.numbers[1])
        asked = element(self.kind, numbers + element(Tag.SEQUENCE, variable))
        engine = self.engine if self.context_engine is None else self.context_engine
        scoped = self.scoped or element(Tag.SEQUENCE, octets(engine) + octets(self.context) + asked)
        digest = bytes(self.signed.size) if self.signed else b""
        head = octets(self.engine) + integer(self.boots) + integer(self.time) + octets(self.user)
        parameters = octets(element(Tag.SEQUENCE, head + octets(digest) + octets(self.salt)))
        about = integer(99) + integer(self.largest) + octets(self.flags) + integer(self.model)
        before = integer(3) + element(Tag.SEQUENCE, about)
        message = element(Tag.SEQUENCE, before + parameters + scoped)
        if self.signed is None:
            return message
        at = message.index(digest)
        return message[:at] + self.signed.digest(message) + message[at + len(digest) :]


async def identity(world: World) -> bytes:
    """Give the engine id that an agent of this world has."""
    return (await load_identity(world.context)).engine_id


def says(answer: bytes | None, counter: str) -> bool:
    """Whether an answer is a report of this counter."""
    return answer is not None and name(counters.NAMES[counter]) in answer and bytes((Kind.REPORT,)) in answer


async def test_an_engine_is_discovered(world: World) -> None:
    engine = await identity(world)
    async with serving(world, EVERYBODY) as agent:
        answer = await agent.ask(V3(b"", user=b"", context_engine=b"").encode())
        assert says(answer, counters.NO_ENGINE)
        assert answer is not None and engine in answer
        again = await agent.ask(V3(b"\x80\0\0\0\1stranger").encode())
        assert says(again, counters.NO_ENGINE)
        assert agent.feed.counters[counters.NO_ENGINE] == 2


async def test_each_start_is_another_boot_of_the_same_engine(world: World) -> None:
    first = await load_identity(world.context)
    second = await load_identity(world.context)
    assert first.engine_id == second.engine_id
    assert first.engine_id[:5].hex() == "80001f8803"
    assert second.boots == first.boots + 1


@pytest.mark.parametrize(
    ("changes", "counter"),
    [
        ({"user": b"stranger"}, counters.NO_USER),
        ({"flags": b"\5"}, counters.NO_LEVEL),
        ({"context": b"nowhere"}, counters.NO_CONTEXT),
        ({"context": b"\xff\xfe"}, counters.NO_CONTEXT),
        ({"context_engine": b"\x80\0\0\0\1other"}, counters.NO_HANDLER),
        ({"kind": Kind.INFORM}, counters.NO_HANDLER),
    ],
    ids=["user", "level", "context", "no text", "another's engine", "inform"],
)
async def test_what_is_wrong_is_reported(world: World, changes: dict[str, object], counter: str) -> None:
    engine = await identity(world)
    async with serving(world, EVERYBODY) as agent:
        asked = replace(V3(engine), **changes)  # type: ignore[arg-type]  # what each case changes
        assert says(await agent.ask(asked.encode()), counter)
        assert agent.traffic.errors


@pytest.mark.parametrize(
    ("changes", "counter"),
    [
        ({"user": b"stranger", "flags": b"\0"}, counters.NO_USER),
        ({"model": 4}, counters.BAD_MODELS),
        ({"flags": b"\6"}, counters.INVALID),
        ({"scoped": octets(b"hidden")}, counters.INVALID),
        ({"largest": 483}, counters.ASN_ERRORS),
        ({"flags": b""}, counters.ASN_ERRORS),
        ({"boots": -1}, counters.ASN_ERRORS),
        ({"user": b"x" * 33}, counters.ASN_ERRORS),
        ({"scoped": integer(1)}, counters.ASN_ERRORS),
        ({"scoped": element(Tag.SEQUENCE, b"")}, counters.ASN_ERRORS),
        ({"kind": Kind.RESPONSE}, counters.RESPONSES),
    ],
    ids=[
        "not to be reported",
        "security model",
        "privacy alone",
        "hidden without saying so",
        "too small",
        "no flags",
        "boots",
        "long name",
        "no sequence",
        "empty",
        "answer",
    ],
)
async def test_what_cannot_be_is_only_counted(world: World, changes: dict[str, object], counter: str) -> None:
    engine = await identity(world)
    async with serving(world, EVERYBODY) as agent:
        asked = replace(V3(engine), **changes)  # type: ignore[arg-type]  # what each case changes
        assert await agent.ask(asked.encode(), 0.15) is None
        assert agent.feed.counters[counter] == 1


def signed(engine: bytes, agent: Agent, **changes: object) -> V3:
    """Make a message of the user who signs, in time unless something else is said."""
    whole = {
        "engine": engine,
        "boots": 2,
        "time": int(agent.feed.uptime()),
        "user": SIGNER.name.encode(),
        "flags": b"\5",
        "signed": authentication("sha", PASSWORD, engine),
    } | changes
    return V3(**whole)  # type: ignore[arg-type]  # what each case changes


async def test_messages_of_another_time_are_not_believed(world: World) -> None:
    world.ups()
    engine = await identity(world)
    async with serving(world, EVERYBODY) as agent:
        good = signed(engine, agent).encode()
        answer = await agent.ask(good)
        assert answer is not None
        assert not says(answer, counters.NOT_IN_TIME)
        assert answer.endswith(integer(100))
        for changes in ({"boots": 1}, {"boots": 3}, {"time": int(agent.feed.uptime()) + 200}):
            told = await agent.ask(signed(engine, agent, **changes).encode())
            assert says(told, counters.NOT_IN_TIME), changes
        bad = bytearray(good)
        bad[-1] ^= 1
        assert says(await agent.ask(bytes(bad)), counters.WRONG_DIGESTS)
    async with serving(world, EVERYBODY) as agent:
        # The agent was started anew: what somebody has recorded is worth nothing.
        assert says(await agent.ask(good), counters.NOT_IN_TIME)


@pytest.mark.parametrize(
    ("hidden", "salt"),
    [(b"x" * 16, b"saltsalt"), (b"x" * 15, b"saltsalt"), (b"x" * 16, b"salt"), (b"", b"saltsalt")],
    ids=["noise", "half a block", "short salt", "nothing"],
)
async def test_what_cannot_be_deciphered_is_reported(world: World, hidden: bytes, salt: bytes) -> None:
    engine = await identity(world)
    async with serving(world, EVERYBODY) as agent:
        asked = signed(
            engine,
            agent,
            user=HIDER.name.encode(),
            flags=b"\7",
            signed=authentication("md5", PASSWORD, engine),
            scoped=octets(hidden),
            salt=salt,
        )
        assert says(await agent.ask(asked.encode()), counters.UNDECIPHERED)


async def test_nobody_gets_more_than_they_can_take(world: World) -> None:
    world.ups()
    fill(world, 100)
    engine = await identity(world)
    async with serving(world, EVERYBODY, (wide_table(),)) as agent:
        for largest in (484, 1500, 65507):
            asked = V3(engine, kind=Kind.GET_BULK, numbers=(0, 5000), root=WIDE, largest=largest)
            answer = await agent.ask(asked.encode(), 2.0)
            assert answer is not None
            assert largest * 0.6 < len(answer) <= largest or largest == 65507
            Reader(answer).enter()


async def test_a_user_without_a_right_to_it_reads_nothing_by_less_proof(world: World) -> None:
    world.ups()
    engine = await identity(world)
    async with serving(world, EVERYBODY) as agent:
        answer = await agent.ask(V3(engine, user=SIGNER.name.encode()).encode())
        assert answer is not None
        assert integer(16) in answer  # authorizationError
        assert integer(100) not in answer


async def test_a_recorded_command_is_not_given_again(world: World) -> None:
    world.ups(commands=("beeper.mute",))
    engine = await identity(world)
    writer = replace(SIGNER, write=True)
    async with serving(world, config(users=(writer,))) as agent:
        variable = element(Tag.SEQUENCE, name(oid(f"{UPS}.9.8.0")) + integer(3))
        asked = element(Kind.SET, integer(7) + integer(0) + integer(0) + element(Tag.SEQUENCE, variable))
        scoped = element(Tag.SEQUENCE, octets(engine) + octets(b"") + asked)
        recorded = signed(engine, agent, scoped=scoped).encode()
        assert await agent.ask(recorded, 2.0) is not None
        # From another port, as somebody would who has only listened.
        assert await agent.ask(recorded) is None
        assert len(world.given) == 1
        # The same wish in a message of its own is another one.
        time = int(agent.feed.uptime()) + 1
        assert await agent.ask(signed(engine, agent, scoped=scoped, time=time).encode(), 2.0) is not None
    assert len(world.given) == 2
