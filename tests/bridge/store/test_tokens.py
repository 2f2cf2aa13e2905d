"""Tokens: random, kept as a hash, valid until revoked or expired, by whichever process."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
import sqlite3

import pytest

from ridethrough.catalogue import Role
from ridethrough.clock import ManualClock
from ridethrough.store import Store, StoreError, TokenError
from ridethrough.store.database import stamp


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Store]:
    """Open an empty store."""
    async with Store.open(tmp_path / "test.db", clock) as store:
        yield store


async def test_token_lets_in_with_its_role(store: Store, clock: ManualClock) -> None:
    secret = await store.tokens.create("home-assistant", Role.ENGINEER)
    info = await store.tokens.verify(secret)
    assert info is not None
    assert (info.name, info.role, info.created, info.expires) == ("home-assistant", Role.ENGINEER, clock.utc(), None)
    assert await store.tokens.get(info.id) is not None


async def test_token_is_long_random_and_recognisable(store: Store) -> None:
    first, second = await store.tokens.create("a", Role.GUEST), await store.tokens.create("b", Role.GUEST)
    assert first != second
    assert first.startswith("rt_")
    assert len(first) == 3 + 43  # 256 bits in base64


def contents(folder: Path) -> list[bytes]:
    """Return what is in the files of a folder."""
    return [file.read_bytes() for file in folder.iterdir()]


async def test_token_itself_is_nowhere_in_the_files(store: Store, tmp_path: Path) -> None:
    secret = await store.tokens.create("a", Role.ADMIN)
    await store.tokens.verify(secret)
    written = b"".join(contents(tmp_path))
    assert b"SQLite format 3" in written
    assert secret[3:20].encode() not in written


@pytest.mark.parametrize("guess", ["", "rt_", "rt_x", "x", "rt_" + "\udc80", "rt_" + "é" * 43, "rt_" + "a" * 10_000])
async def test_guess_is_refused(store: Store, guess: str) -> None:
    await store.tokens.create("a", Role.ADMIN)
    assert await store.tokens.verify(guess) is None


async def test_token_without_its_prefix_or_with_more_is_refused(store: Store) -> None:
    secret = await store.tokens.create("a", Role.ADMIN)
    for wrong in (secret[3:], secret[:-1], secret + "a", secret.swapcase(), f" {secret}"):
        assert await store.tokens.verify(wrong) is None


async def test_token_made_and_revoked_by_another_process_counts_at_once(store: Store, tmp_path: Path) -> None:
    async with Store.open(tmp_path / "test.db") as other:
        secret = await other.tokens.create("late", Role.GUEST)
        info = await store.tokens.verify(secret)
        assert info is not None
        assert await other.tokens.revoke("late") is True
    assert await store.tokens.verify(secret) is None
    assert await store.tokens.get(info.id) is None


async def test_token_is_revoked_by_its_id_too(store: Store) -> None:
    secret = await store.tokens.create("a", Role.GUEST)
    (info,) = await store.tokens.list()
    assert await store.tokens.revoke(info.id) is True
    assert await store.tokens.revoke(info.id) is False
    assert await store.tokens.verify(secret) is None


async def test_token_expires_at_its_moment(store: Store, clock: ManualClock) -> None:
    secret = await store.tokens.create("a", Role.GUEST, clock.utc() + timedelta(hours=1))
    clock.tick(3599)
    info = await store.tokens.verify(secret)
    assert info is not None
    clock.tick(1)
    assert await store.tokens.verify(secret) is None
    assert await store.tokens.get(info.id) is None
    assert [one.name for one in await store.tokens.list()] == ["a"]


@pytest.mark.parametrize("name", ["", "  ", "a" * 65, "a\nb", "a\x00"])
async def test_name_must_be_a_name(store: Store, name: str) -> None:
    with pytest.raises(TokenError, match="1 to 64"):
        await store.tokens.create(name, Role.GUEST)


async def test_names_are_unique(store: Store) -> None:
    await store.tokens.create("a", Role.GUEST)
    with pytest.raises(TokenError, match="already"):
        await store.tokens.create("a", Role.ADMIN)
    assert len(await store.tokens.list()) == 1
    await store.tokens.revoke("a")
    await store.tokens.create("a", Role.ADMIN)


async def test_expiry_must_lie_ahead_and_have_a_zone(store: Store, clock: ManualClock) -> None:
    for expires in (clock.utc(), datetime(2030, 1, 1)):
        with pytest.raises(TokenError, match="future"):
            await store.tokens.create("a", Role.GUEST, expires)


async def test_use_is_noted_at_most_every_five_minutes(store: Store, clock: ManualClock, tmp_path: Path) -> None:
    secret = await store.tokens.create("a", Role.GUEST)
    began = clock.utc()
    for _ in range(5):
        await store.tokens.verify(secret)
        clock.tick(60)
    (info,) = await store.tokens.list()
    assert info.last_used == began
    await store.tokens.verify(secret)
    (info,) = await store.tokens.list()
    assert info.last_used == began + timedelta(minutes=5)


async def test_use_is_noted_after_the_wall_clock_was_put_back(store: Store, clock: ManualClock) -> None:
    secret = await store.tokens.create("a", Role.GUEST)
    await store.tokens.verify(secret)
    clock.jump(-86400)
    await store.tokens.verify(secret)
    assert (await store.tokens.list())[0].last_used == clock.utc()


async def test_store_that_cannot_be_written_still_lets_people_in(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ridethrough.store.database.PATIENCE", 0.05)
    async with Store.open(tmp_path / "b.db", clock) as store:
        secret = await store.tokens.create("a", Role.GUEST)
        holder = sqlite3.connect(tmp_path / "b.db")
        holder.execute("BEGIN IMMEDIATE")
        assert await store.tokens.verify(secret) is not None
        with pytest.raises(StoreError):
            await store.tokens.revoke("a")
        holder.rollback()
        holder.close()


def test_stamps_are_exact() -> None:
    assert stamp(datetime.fromisoformat("1970-01-01T00:00:00.000001+00:00")) == 1
